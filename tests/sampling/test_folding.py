"""Folding a dataset: one event for each event, under its conditions, shard by shard."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Card, Checkpoint, DatasetCard, environment
from mleg_ray.cli import app
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.run import RunConfig
from mleg_ray.sampling.manifest import SampleJob, begin, finish, plan_fold, whole_shards
from mleg_ray.storage import write_bytes
from tests.checkpoints import made, small_checkpoint
from tests.dis_events import PAIRS, measured
from tests.prepared import prepared_dataset
from tests.recipes import ADVERSARIES
from tests.sampling.test_verification import verified


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """An untrained response to electrons of up to 51 GeV, which smears them by a few percent."""
    run = RunConfig.load("response-electrons", ADVERSARIES)
    feature_map = run.features.build(PAIRS, {}).fit([measured(2000)])
    names = ("px", "py", "pz", "energy")
    card = Card(
        dataset=DatasetCard(
            name="detector", dataset_digest="0" * 64, fields=PAIRS.fields, conditions={}
        ),
        train_events=2000,
        condition_range={f"vertex_{name}": (-51.0, 51.0) for name in names},
        outside_fraction=0.0,
        step=0,
        metrics={},
        history=(),
        seconds=0.0,
        environment=environment(),
    )
    folder = str(tmp_path_factory.mktemp("detector"))
    Checkpoint(run, card, feature_map, run.build_model(feature_map)).save(folder)
    return Checkpoint.load(folder)


@pytest.fixture
def vertex(tmp_path: Path) -> Dataset:
    return prepared_dataset(tmp_path / "vertex", shard_rows=700)


def run(job: SampleJob) -> Dataset:
    begin(job)
    missing = {shard.index: shard for shard in job.shards}.keys() - whole_shards(job).keys()
    for index in missing:
        made(job.sampler, job.shards[index])
    return finish(job, whole_shards(job), None)


def test_each_event_is_measured_once(detector: Checkpoint, vertex: Dataset, tmp_path: Path) -> None:
    folded = run(plan_fold(detector, vertex, "test", str(tmp_path / "out"), seed=1))
    true, seen = vertex.load("test"), folded.load()
    assert len(seen) == len(true) == 700
    torch.testing.assert_close(seen.context, true.x.float().double(), rtol=0, atol=0)
    ratio = (seen.x[:, 3] / true.x[:, 3]).numpy()
    assert 0 < np.std(ratio) < 0.1
    assert np.median(ratio) == pytest.approx(1, abs=0.05)
    spec = folded.manifest.provenance["spec"]["folds"]
    assert (spec["dataset_digest"], spec["split"]) == (vertex.digest, "test")


def test_shards_are_those_of_the_events_and_made_again_alike(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    folded = run(plan_fold(detector, vertex, None, str(tmp_path / "out"), seed=1))
    assert [shard.rows for shard in folded.shards()] == [700] * 10
    first = folded.manifest.shards[3]
    (tmp_path / "out" / first.file).unlink()
    again = run(plan_fold(detector, vertex, None, str(tmp_path / "out"), seed=1))
    assert again.manifest.shards == folded.manifest.shards


def test_what_was_folded_can_be_folded_again(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    """`vertex_px` is the dataset's own, where it has one: its truth, not what was measured."""
    once = run(plan_fold(detector, vertex, "test", str(tmp_path / "once"), seed=1))
    twice = run(plan_fold(detector, once, None, str(tmp_path / "twice"), seed=2))
    torch.testing.assert_close(twice.load().context, once.load().context)
    assert not torch.equal(twice.load().x, once.load().x)


def test_measured_events_without_their_truth_are_refused(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    provenance = vertex.manifest.provenance | {"source": {"kind": "folded"}}
    manifest = vertex.manifest.model_copy(update={"provenance": provenance})
    measured_alone = Dataset(vertex.uri, manifest)
    with pytest.raises(DataError, match="measured already, and it holds no true values"):
        plan_fold(detector, measured_alone, None, str(tmp_path / "out"), seed=1)


def test_a_folded_dataset_is_verified(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    folded = run(plan_fold(detector, vertex, "test", str(tmp_path / "out"), seed=1))
    assert not verified(Path(folded.uri)).faults


def test_a_model_that_measures_nothing_is_refused(vertex: Dataset, tmp_path: Path) -> None:
    generator = small_checkpoint(tmp_path / "fatgan")
    with pytest.raises(ConfigError, match="the checkpoint measures nothing"):
        plan_fold(generator, vertex, "test", str(tmp_path / "out"), seed=1)


def test_events_outside_the_trained_region_are_refused_unless_told(
    detector: Checkpoint, tmp_path: Path
) -> None:
    far = prepared_dataset(tmp_path / "far", beams=(80.0,))
    with pytest.raises(ConfigError, match=r"of 500 events lie outside.*Add --extrapolate") as error:
        plan_fold(detector, far, "test", str(tmp_path / "out"), seed=1)
    assert "vertex_energy from -51 to 51, not" in str(error.value)
    assert not (tmp_path / "out").exists()
    job = plan_fold(detector, far, "test", str(tmp_path / "out"), seed=1, extrapolate=True)
    marked = run(job).manifest.provenance["extrapolations"]
    assert marked["vertex_energy"]["distance"] > 0


def test_events_that_were_replaced_meanwhile_are_noticed(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    job = plan_fold(detector, vertex, "test", str(tmp_path / "out"), seed=1)
    begin(job)
    prepared_dataset(tmp_path / "vertex", shard_rows=600)
    with pytest.raises(DataError, match="was replaced while its events were folded"):
        type(job.sampler)(detector, job.spec, job.folder)


def test_columns_that_are_missing_are_named(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    fields = tuple(f for f in vertex.manifest.fields if f.name != "energy")
    manifest = vertex.manifest.model_copy(update={"fields": fields})
    lacking = Dataset(vertex.uri, manifest)
    with pytest.raises(ConfigError, match=r"condition vertex_energy \[GeV\] is none of px \[GeV\]"):
        plan_fold(detector, lacking, "test", str(tmp_path / "out"), seed=1)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ("{vertex}:tests", "no shards in split 'tests'; it has test, train, validation"),
        ("{vertex}/nowhere", "no dataset.json or manifest.json"),
        ("nowhere:test", "no dataset 'nowhere' in"),
    ],
)
def test_bad_names_on_the_command_line(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path, events: str, message: str
) -> None:
    named = events.format(vertex=vertex.uri)
    command = ["fold", detector.uri, named, "--storage", str(tmp_path / "store")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_damaged_events_are_noticed_before_the_plan(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    shard = vertex.shards("test")[0]
    write_bytes(f"{vertex.uri}/{shard.file}", b"nothing")
    with pytest.raises(DataError, match=shard.file):
        plan_fold(detector, vertex, "test", str(tmp_path / "out"), seed=1)
    assert not (tmp_path / "out").exists()
