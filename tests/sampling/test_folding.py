"""Folding a dataset: one event for each event, under its conditions, shard by shard."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from mleg_ray.catalog.dataset import SAMPLED, Dataset
from mleg_ray.checkpoint import Card, Checkpoint, DatasetCard, environment
from mleg_ray.cli import app
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.evaluation.samples.datasets import from_generated
from mleg_ray.events import Events, Field
from mleg_ray.folder import FileEntry, record_file
from mleg_ray.run import RunConfig
from mleg_ray.sampling.job import (
    SampleJob,
    finish,
    plan_fold,
    plan_sample,
)
from mleg_ray.storage import write_bytes
from tests.checkpoints import begin, made, small_checkpoint
from tests.dis_events import PAIRS, VERTEX, measured, momenta
from tests.prepared import prepared_dataset
from tests.recipes import ADVERSARIES
from tests.sampling.test_verification import verified


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """An untrained response to electrons of up to 51 GeV, which smears them by a few percent."""
    run = RunConfig.load("response-electrons", ADVERSARIES)
    feature_map = run.features.build(PAIRS, {}).fit([measured(2000)])
    card = Card(
        dataset=DatasetCard(
            name="detector", dataset_digest="0" * 64, fields=PAIRS.fields, groups=PAIRS.groups
        ),
        train_events=2000,
        condition_range=dict.fromkeys(VERTEX, (-51.0, 51.0)),
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


@pytest.fixture
def weighted(tmp_path: Path) -> Dataset:
    return prepared_dataset(tmp_path / "weighted", shard_rows=700, weighted=True)


def run(job: SampleJob) -> Dataset:
    begin(job)
    missing = {shard.index: shard for shard in job.shards}.keys() - job.whole().keys()
    for index in missing:
        made(job.sampler, job.shards[index])
    return finish(job, job.whole(), None, {})


def assert_folded(seen: Events, true: Events) -> None:
    """Check that each event keeps the true one that it was made of, as single precision has it."""
    rounded = momenta(true).float().double()
    torch.testing.assert_close(momenta(seen, VERTEX), rounded, rtol=0, atol=0)


def test_each_event_is_measured_once(detector: Checkpoint, vertex: Dataset, tmp_path: Path) -> None:
    folded = run(plan_fold(detector, vertex, "test", str(tmp_path / "out"), seed=1))
    true, seen = vertex.load("test"), folded.load()
    assert len(seen) == len(true) == 700
    assert_folded(seen, true)
    ratio = (seen.columns["electron.energy"] / true.columns["electron.energy"]).numpy()
    assert 0 < np.std(ratio) < 0.1
    assert np.median(ratio) == pytest.approx(1, abs=0.05)
    spec = folded.manifest.provenance["spec"]["folds"]
    assert (spec["dataset_digest"], spec["split"]) == (vertex.digest, "test")


def test_each_event_keeps_its_weight(
    detector: Checkpoint, weighted: Dataset, tmp_path: Path
) -> None:
    folded = run(plan_fold(detector, weighted, None, str(tmp_path / "out"), seed=1))
    true, seen = weighted.load(), folded.load()
    assert (true.weight < 0).any()
    assert torch.equal(seen.weight, true.weight)
    assert_folded(seen, true)
    assert folded.schema.weight == "weight"
    assert not verified(Path(folded.uri)).faults


def half(where: tuple[str, ...], events: Events) -> torch.Tensor:
    """Tell events apart by digits that a detector smears, so that each has a chance to pass."""
    del where
    return (1e4 * events.columns["electron.px"]) % 1 < 0.5


def test_each_event_is_measured_once_also_if_some_measurements_are_left_out(
    detector: Checkpoint, weighted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("electron.energy >= 0",)
    monkeypatch.setattr("mleg_ray.sampling.pipeline.passing", half)
    selecting = dataclasses.replace(detector, run=detector.run.model_copy(update={"where": where}))
    selecting.save(str(tmp_path / "detector"))
    folded = run(plan_fold(selecting, weighted, None, str(tmp_path / "out"), seed=1))
    true, seen = weighted.load(), folded.load()
    assert half(where, seen).all()
    assert_folded(seen, true)
    assert torch.equal(seen.weight, true.weight)
    told = folded.manifest.provenance["efficiency"]
    assert told["value"] == pytest.approx(0.5, abs=0.05)


def test_weights_change_no_event(
    detector: Checkpoint, vertex: Dataset, weighted: Dataset, tmp_path: Path
) -> None:
    plain = run(plan_fold(detector, vertex, "test", str(tmp_path / "plain"), seed=1))
    heavy = run(plan_fold(detector, weighted, "test", str(tmp_path / "heavy"), seed=1))
    assert torch.equal(momenta(plain.load()), momenta(heavy.load()))
    assert plain.schema.weight is None
    assert plain.manifest.bins is not None


def test_weighted_events_are_completed_alike(
    detector: Checkpoint, weighted: Dataset, tmp_path: Path
) -> None:
    folded = run(plan_fold(detector, weighted, None, str(tmp_path / "out"), seed=1))
    third, fifth = (folded.manifest.shards[k] for k in (3, 5))
    (tmp_path / "out" / third.file).unlink()
    (tmp_path / "out" / record_file(fifth.file)).unlink()
    (tmp_path / "out" / SAMPLED).unlink()
    job = plan_fold(detector, weighted, None, str(tmp_path / "out"), seed=1)
    assert len(job.whole()) == 8
    assert run(job).manifest.shards == folded.manifest.shards
    assert not verified(tmp_path / "out").faults


def test_weights_of_folded_events_are_evaluated(
    detector: Checkpoint, weighted: Dataset, tmp_path: Path
) -> None:
    folded = run(plan_fold(detector, weighted, "test", str(tmp_path / "out"), seed=1))
    sample, weight = from_generated(folded, seed=1), weighted.load("test").weight
    assert sample.weight.sum() == pytest.approx(float(weight.sum()))
    assert sample.unphysical.total.weight == pytest.approx(float(weight.sum()))
    assert sample.tally is None  # it counts events of equal weights


def test_weights_of_a_detectors_training_are_not_the_events_own(
    detector: Checkpoint, vertex: Dataset, weighted: Dataset, tmp_path: Path
) -> None:
    own = Field(name="training_weight", role="weight")
    dataset = detector.card.dataset.model_copy(update={"fields": (*PAIRS.fields, own)})
    card = detector.card.model_copy(update={"dataset": dataset})
    trained = Checkpoint(detector.run, card, detector.feature_map, detector.model)
    trained.save(str(tmp_path / "detector"))
    plain = run(plan_fold(trained, vertex, "test", str(tmp_path / "plain"), seed=1))
    assert plain.schema.weight is None
    assert not verified(Path(plain.uri)).faults
    heavy = run(plan_fold(trained, weighted, "test", str(tmp_path / "heavy"), seed=1))
    assert heavy.schema.weight == "weight"
    assert torch.equal(heavy.load().weight, weighted.load("test").weight)


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
    """`vertex.px` is the dataset's own, where it has one: its truth, not what was measured."""
    once = run(plan_fold(detector, vertex, "test", str(tmp_path / "once"), seed=1))
    twice = run(plan_fold(detector, once, None, str(tmp_path / "twice"), seed=2))
    before, after = once.load(), twice.load()
    torch.testing.assert_close(momenta(after, VERTEX), momenta(before, VERTEX))
    assert not torch.equal(momenta(after), momenta(before))


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


@pytest.mark.parametrize("conditional", [False, True])
def test_a_model_that_measures_nothing_is_refused(
    vertex: Dataset, tmp_path: Path, conditional: bool
) -> None:
    generator = small_checkpoint(tmp_path / "fatgan", conditional=conditional)
    with pytest.raises(ConfigError, match="measures nothing: .* a true value .*`mleg sample`"):
        plan_fold(generator, vertex, "test", str(tmp_path / "out"), seed=1)


def test_events_that_are_not_finite_are_refused(
    detector: Checkpoint, weighted: Dataset, tmp_path: Path
) -> None:
    shard = weighted.shards("test")[0]
    place = tmp_path / "weighted" / shard.file
    table = pq.read_table(place)
    for name, rows, value in (
        ("electron.px", [1, 5], np.nan),
        ("electron.energy", 7, np.inf),
        ("weight", 2, np.nan),
    ):
        values = table[name].to_numpy().copy()
        values[rows] = value
        column = table.schema.get_field_index(name)
        table = table.set_column(column, table.schema.field(name), [values])
    pq.write_table(table, place)  # not `write_shard`, which refuses such numbers
    entry = shard.model_copy(update=dict(FileEntry.of(shard.file, place.read_bytes())))
    manifest = weighted.manifest.model_copy(update={"shards": (entry,)})
    damaged = Dataset(weighted.uri, manifest)
    with pytest.raises(
        DataError,
        match="700 events.*'weight' in 1, 'electron.px' in 2, 'electron.energy' in 1; rem",
    ):
        plan_fold(detector, damaged, "test", str(tmp_path / "out"), seed=1)
    assert not (tmp_path / "out").exists()


def test_an_empty_shard_is_refused(detector: Checkpoint, weighted: Dataset, tmp_path: Path) -> None:
    shard = weighted.shards("test")[0]
    place = tmp_path / "weighted" / shard.file
    pq.write_table(pq.read_table(place).slice(0, 0), place)
    file = dict(FileEntry.of(shard.file, place.read_bytes()))
    manifest = weighted.manifest.model_copy(
        update={"shards": (shard.model_copy(update=file | {"rows": 0}),)}
    )
    with pytest.raises(DataError, match="shard 0 has no events"):
        plan_fold(detector, Dataset(weighted.uri, manifest), "test", str(tmp_path / "out"), seed=1)


def test_a_folder_of_other_folded_events_is_refused_in_a_few_words(
    detector: Checkpoint, vertex: Dataset, weighted: Dataset, tmp_path: Path
) -> None:
    begin(plan_fold(detector, vertex, None, str(tmp_path / "out"), seed=1))
    with pytest.raises(ConfigError, match=r"\(folds.uri is .*; folds.weight is None") as caught:
        plan_fold(detector, weighted, None, str(tmp_path / "out"), seed=1)
    assert len(str(caught.value)) < 800


def test_a_detector_is_not_sampled(detector: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a detector's, .* `mleg fold CHECKPOINT DATASET`"):
        plan_sample(detector, 100, str(tmp_path / "out"), seed=1, conditions={})


def test_events_outside_the_trained_region_are_refused_unless_told(
    detector: Checkpoint, tmp_path: Path
) -> None:
    far = prepared_dataset(tmp_path / "far", beams=(80.0,))
    with pytest.raises(ConfigError, match=r"of 500 events lie outside.*Add --extrapolate") as error:
        plan_fold(detector, far, "test", str(tmp_path / "out"), seed=1)
    number, distance = re.findall(
        r"vertex.energy of (\d+), by up to ([\d.]+) \(it was trained from -51 to 51\)",
        str(error.value),
    )[0]
    energy = far.load("test").columns["electron.energy"]
    assert int(number) == int((energy > 51).sum())
    assert float(distance) == pytest.approx(float(energy.max()) - 51, rel=1e-4)
    assert "vertex.px" not in str(error.value)  # all inside
    assert not (tmp_path / "out").exists()
    job = plan_fold(detector, far, "test", str(tmp_path / "out"), seed=1, extrapolate=True)
    marked = run(job).manifest.provenance["extrapolations"]
    assert marked["vertex.energy"]["distance"] > 0


def test_events_that_were_replaced_meanwhile_are_noticed(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    job = plan_fold(detector, vertex, "test", str(tmp_path / "out"), seed=1)
    begin(job)
    prepared_dataset(tmp_path / "vertex", shard_rows=600)
    with pytest.raises(DataError, match="was replaced while its events were folded"):
        type(job.sampler)(detector, job.spec, job.folder.uri)


def test_columns_that_are_missing_are_named(
    detector: Checkpoint, vertex: Dataset, tmp_path: Path
) -> None:
    fields = tuple(f for f in vertex.manifest.fields if f.name != "electron.energy")
    manifest = vertex.manifest.model_copy(update={"fields": fields})
    lacking = Dataset(vertex.uri, manifest)
    with pytest.raises(
        ConfigError, match=r"condition vertex.energy \[GeV\] is none of electron.px \[GeV\]"
    ):
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
