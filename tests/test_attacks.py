"""Hostile and damaged input that once got through: each is one clear error now."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.base import cut
from mleg_ray.checkpoint import CARD, RUN, WEIGHTS, Checkpoint
from mleg_ray.cli import main
from mleg_ray.cluster.train import train
from mleg_ray.config import parse
from mleg_ray.errors import CheckpointError, ConfigError, DataError, ResourceError
from mleg_ray.evaluation.metrics.amplification import train_events
from mleg_ray.evaluation.metrics.events_per_second import events_per_second
from mleg_ray.evaluation.samples.datasets import from_dataset
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from mleg_ray.folder import PLAN
from mleg_ray.run import RunConfig
from mleg_ray.sampling.plan import SampleSpec
from mleg_ray.storage import exists, sha256
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset
from tests.recipes import fitted_map, small_run, training_events

PLANE = {"x": "electron.px", "y": "electron.py", "x_range": [1, 2], "y_range": [1, 2]}


def test_brackets_in_a_message_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "[/foo].toml"])
    assert end.value.code == 2
    assert "[/foo].toml: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("events", ["inf", "1e400", "nan"])
def test_numbers_of_events_are_finite(events: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sample", "checkpoint", "--events", events])
    assert end.value.code == 2


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "..", "a b", "a/b", ""])
def test_names_of_runs_stay_inside_the_storage(tmp_path: Path, name: str) -> None:
    dataset = prepared_dataset(tmp_path / "data", shard_rows=20)
    with pytest.raises(ConfigError, match="--name"):
        train(small_run("bvae-dis"), dataset, str(tmp_path / "storage"), name=name)
    assert not (tmp_path / "storage").exists()


def test_shards_are_counted_before_they_are_listed() -> None:
    values = {"checkpoint": "0", "events": 10**30, "shard_events": 10, "seed": 1}
    values |= {"conditions": {}, "compiled": False, "batch_events": 4096}
    with pytest.raises(ConfigError, match="raise --shard-events"):
        parse(SampleSpec, values, "--events")
    with pytest.raises(ConfigError, match="raise shard_events"):
        cut(10**12, 200)


@pytest.mark.parametrize("rows", [0, 7, 10**9])
def test_manifest_that_miscounts_is_refused(tmp_path: Path, rows: int) -> None:
    dataset = prepared_dataset(tmp_path, shard_rows=20)
    place = tmp_path / "dataset.json"
    manifest = json.loads(place.read_text())
    manifest["shards"][0]["rows"] = rows
    place.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="has 20 events"):
        list(Dataset.open(dataset.uri).chunks("train"))


def test_manifest_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    prepared_dataset(tmp_path, shard_rows=20)
    place = tmp_path / "dataset.json"
    place.write_text(place.read_text().replace("shards/00000.parquet", "../../etc/passwd"))
    with pytest.raises(ConfigError, match="what a folder lists lies inside it"):
        Dataset.open(str(tmp_path))


def test_a_folder_is_either_prepared_or_sampled(tmp_path: Path) -> None:
    prepared_dataset(tmp_path, shard_rows=20)
    (tmp_path / "manifest.json").write_text((tmp_path / "dataset.json").read_text())
    with pytest.raises(DataError, match=r"both dataset.json and manifest.json; remove"):
        Dataset.open(str(tmp_path))


def test_altered_configuration_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    small_checkpoint(tmp_path)
    run = (tmp_path / RUN).read_text()
    assert "q2_min = 2.0" in run
    (tmp_path / RUN).write_text(run.replace("q2_min = 2.0", "q2_min = 2000.0"))
    with pytest.raises(CheckpointError, match="altered"):
        Checkpoint.load(str(tmp_path))


def test_garbage_weights_with_a_matching_digest_are_refused(tmp_path: Path) -> None:
    small_checkpoint(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"\xff" * 100)
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps(card | {"weights_sha256": sha256(b"\xff" * 100)}))
    with pytest.raises(CheckpointError, match="do not fit"):
        Checkpoint.load(str(tmp_path))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[" * 500_000])
def test_damaged_plan_of_a_run_is_named(tmp_path: Path, content: bytes) -> None:
    dataset = prepared_dataset(tmp_path / "data", shard_rows=20)
    (tmp_path / "runs" / "x").mkdir(parents=True)
    (tmp_path / "runs" / "x" / PLAN).write_bytes(content)
    with pytest.raises(DataError, match="plan.json: damaged, not valid JSON"):
        train(small_run("bvae-dis"), dataset, str(tmp_path), name="x")


def test_unknown_protocol_names_the_uri() -> None:
    with pytest.raises(ResourceError, match="foo://x: .*s3://BUCKET"):
        exists("foo://x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 1}, "format_version is 1; this version of mleg_ray reads 2 only"),
        (
            {"observables": {"electron.px": {"expression": "dis.q2(electron, beam_energy)"}}},
            "observables.electron.px: a field has this name",
        ),
        (
            {"planes": [{"x": "q", "y": "electron.px", "x_range": [1, 2], "y_range": [1, 2]}]},
            "'q' is not compared",
        ),
    ],
)
def test_manifest_that_defines_nonsense_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    prepared_dataset(tmp_path, shard_rows=20)
    place = tmp_path / "dataset.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(ConfigError, match=message):
        Dataset.open(str(tmp_path))


def test_a_dataset_of_the_first_format_is_refused_for_its_version_alone(tmp_path: Path) -> None:
    prepared_dataset(tmp_path, shard_rows=20)
    place = tmp_path / "dataset.json"
    old = {"format_version": 1, "particles": {}, "objects": {}}
    place.write_text(json.dumps(json.loads(place.read_text()) | old))
    with pytest.raises(ConfigError) as caught:
        Dataset.open(str(tmp_path))
    assert str(caught.value) == (
        f"{place}: format_version is 1; this version of mleg_ray reads 2 only: make it again, or "
        "use the version that made it"
    )


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff\xfe"])
def test_damaged_manifest_is_named_with_the_mend(tmp_path: Path, content: bytes) -> None:
    prepared_dataset(tmp_path, shard_rows=20)
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(DataError, match=r"dataset.json: damaged, .* once it is deleted"):
        Dataset.open(str(tmp_path))


def test_card_without_the_range_of_a_condition_is_refused(tmp_path: Path) -> None:
    small_checkpoint(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps(card | {"condition_range": {}}))
    with pytest.raises(CheckpointError, match="condition_range lacks beam_energy"):
        Checkpoint.load(str(tmp_path))


@pytest.mark.parametrize("provenance", [{"checkpoint": 3}, {"checkpoint": {"card": []}}, {}])
def test_damaged_provenance_hides_nothing_else(
    tmp_path: Path, provenance: dict[str, object]
) -> None:
    dataset = prepared_dataset(tmp_path / "data", shard_rows=200)
    manifest = dataset.manifest.model_copy(
        update={"provenance": provenance | {"production": {"seconds": "long"}}}
    )
    sample = from_dataset(Dataset(dataset.uri, manifest), seed=1)
    with pytest.raises(NotComputableError, match="no record of the run"):
        events_per_second(sample.origin.provenance)
    with pytest.raises(NotComputableError, match="how many events trained it"):
        train_events(sample.origin.provenance)


@pytest.mark.parametrize("value", ["true", '"20"'])
def test_numbers_are_not_made_of_other_things(value: str) -> None:
    with pytest.raises(ConfigError, match=r"training.steps: a number is needed \(got "):
        RunConfig.load("fatgan-quick", (f"training.steps={value}",))


def test_networks_that_no_memory_holds_are_refused() -> None:
    run = small_run("fatgan-quick", f"model.generator.widths=[{10**19}]")
    with pytest.raises(ConfigError, match="model: its networks are too large for this machine"):
        run.build_model(fitted_map(run, training_events()))


def test_interrupt_says_how_to_go_on() -> None:
    code = (
        "import os, signal, mleg_ray.cli as cli\n"
        "cli.app = lambda args: os.kill(os.getpid(), signal.SIGINT)\n"
        "cli.main([])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the same command again continues" in done.stderr
