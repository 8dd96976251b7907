"""A sample on disk: begun, completed, mended, or refused."""

import errno
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

import mleg_ray as mleg
from mleg_ray.catalog.dataset import SAMPLED, Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import CheckpointError, ConfigError, DataError, ResourceError
from mleg_ray.evaluation.samples.datasets import from_dataset, from_generated
from mleg_ray.folder import PLAN
from mleg_ray.sampling.job import (
    COMPILED_FROM,
    Production,
    SampleJob,
    finish,
    making,
    plan_sample,
    rehearse,
)
from mleg_ray.sampling.plan import BINS_FILE
from mleg_ray.sampling.spectra import Spectrum, UniformSpectrum, constant
from mleg_ray.storage import write_bytes
from tests.checkpoints import begin, diverged_checkpoint, made, small_checkpoint
from tests.dis_events import ELECTRON


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def planned(checkpoint: Checkpoint, out: Path | str, events: int = 250, seed: int = 1) -> SampleJob:
    return plan_sample(checkpoint, events, str(out), seed=seed, shard_events=100, conditions={})


def run(job: SampleJob) -> Dataset:
    """Do in one process what the pool does in many."""
    records = job.whole()
    missing = [shard for shard in job.shards if shard.index not in records]
    production = None
    if missing:
        rehearse(job, missing)
        with making(job):
            pass
        records |= {shard.index: made(job.sampler, shard) for shard in missing}
        events = sum(shard.events for shard in missing)
        production = Production(
            events=events,
            seconds=1,
            first_shard_seconds=1,
            events_per_second=events,
            steady_events_per_second=None,
            workers=1,
        )
    return finish(job, records, production, {"code": "1"})


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_sample_is_a_dataset(checkpoint: Checkpoint, out: Path) -> None:
    dataset = run(planned(checkpoint, out))
    assert dataset.rows("sample") == 250
    assert [shard.rows for shard in dataset.shards()] == [100, 100, 50]
    events = dataset.load()
    assert set(events.columns) == {*ELECTRON, "beam_energy"}
    assert all(column.shape == (250,) for column in events.columns.values())
    assert set(events.columns["beam_energy"].tolist()) == {50.0}
    assert {"q2", "x_bj"} <= set(dataset.manifest.joined(events).columns)


def test_manifest_tells_where_the_events_come_from(checkpoint: Checkpoint, out: Path) -> None:
    provenance = run(planned(checkpoint, out)).manifest.provenance
    assert provenance["checkpoint"]["digest"] == checkpoint.digest
    assert provenance["checkpoint"]["card"]["dataset"]["name"] == "dis-ep-50"
    assert provenance["spec"]["seed"] == 1
    assert provenance["production"]["events"] == 250
    assert provenance["extrapolations"] == {}
    assert provenance["environment"] == {"code": "1"}


def test_sample_goes_on_compiled_as_it_was_begun(
    checkpoint: Checkpoint, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(events: int, folder: Path, compiled: bool | None = None) -> bool:
        job = plan_sample(
            checkpoint,
            events,
            str(folder),
            seed=1,
            shard_events=1_000_000,
            conditions={},
            compiled=compiled,
        )
        begin(job)
        return job.spec.compiled

    monkeypatch.setattr("mleg_ray.sampling.job.has_compiler", lambda: True)
    assert not asked(COMPILED_FROM - 1, out / "small")
    assert asked(COMPILED_FROM, out / "large")
    monkeypatch.setattr("mleg_ray.sampling.job.has_compiler", lambda: False)
    assert asked(COMPILED_FROM, out / "large")
    assert not asked(COMPILED_FROM, out / "elsewhere")
    with pytest.raises(ConfigError, match="compiled is True there, False is asked for"):
        asked(COMPILED_FROM, out / "large", compiled=False)


def test_extrapolation_is_marked(tmp_path: Path, out: Path) -> None:
    conditional = small_checkpoint(tmp_path / "checkpoint", conditional=True)
    job = plan_sample(
        conditional,
        100,
        str(out),
        seed=1,
        shard_events=100,
        conditions={"beam_energy": constant(60.0)},
    )
    manifest = run(job).manifest
    assert manifest.conditions == {"beam_energy": 60.0}
    assert manifest.provenance["extrapolations"] == {
        "beam_energy": {"value": 60.0, "trained": [10.0, 50.0], "distance": 10.0}
    }


def test_complete_sample_is_left_as_it_is(checkpoint: Checkpoint, out: Path) -> None:
    run(planned(checkpoint, out))
    before = content(out)
    run(planned(checkpoint, out))
    assert content(out) == before


def test_interrupted_sample_is_completed(checkpoint: Checkpoint, out: Path, tmp_path: Path) -> None:
    whole = run(planned(checkpoint, tmp_path / "undisturbed"))
    job = planned(checkpoint, out)
    begin(job)
    made(job.sampler, job.shards[1])
    (out / "shards" / "00000000.parquet.123.partial").write_bytes(b"half")
    with pytest.raises(DataError, match="not finished"):
        Dataset.open(str(out))
    assert set(job.whole()) == {1}
    assert run(planned(checkpoint, out)).digest == whole.digest
    expected = content(tmp_path / "undisturbed")
    assert content(out).keys() == expected.keys()
    assert all(content(out)[file] == data for file, data in expected.items() if "shards" in file)


@pytest.mark.parametrize(
    "damage",
    ["truncated", "no footer", "deleted", "without record", "no tally", "no bins"],
)
def test_damaged_shard_is_made_again(checkpoint: Checkpoint, out: Path, damage: str) -> None:
    job = planned(checkpoint, out)
    run(job)
    before = content(out)
    shard = out / "shards" / "00000001.parquet"
    data = shard.read_bytes()
    match damage:
        case "truncated":
            shard.write_bytes(data[:-10])
        case "no footer":
            shard.write_bytes(data[:-4] + b"junk")
        case "deleted":
            shard.unlink()
        case "without record":
            (out / "records" / "00000001.json").unlink()
        case "no tally":
            (out / job.shards[1].tally_file).unlink()
        case "no bins":
            (out / BINS_FILE).unlink()
    run(planned(checkpoint, out))
    assert content(out) == before


def test_altered_bytes_are_found(checkpoint: Checkpoint, out: Path) -> None:
    job = planned(checkpoint, out)
    run(job)
    shard = out / "shards" / "00000001.parquet"
    data = shard.read_bytes()
    shard.write_bytes(data[:100] + b"x" + data[101:])
    assert set(job.whole()) == {0, 2}
    (out / job.shards[2].tally_file).write_bytes((out / job.shards[0].tally_file).read_bytes())
    assert set(job.whole()) == {0}


def test_bins_that_cannot_be_made_again_are_named(checkpoint: Checkpoint, out: Path) -> None:
    run(planned(checkpoint, out))
    (out / BINS_FILE).unlink()
    plan = json.loads((out / PLAN).read_text())
    (out / PLAN).write_text(json.dumps(plan | {"bins_sha256": "of another machine"}))
    with pytest.raises(DataError, match=r"bins.safetensors: gone or damaged"):
        planned(checkpoint, out)


def test_tallies_count_every_event_as_it_is_stored(checkpoint: Checkpoint, out: Path) -> None:
    dataset = run(planned(checkpoint, out))
    tallied, read = from_generated(dataset, seed=1, max_events=150), from_dataset(dataset, seed=1)
    assert tallied.tally is not None
    assert tallied.tally.events == tallied.origin.events == dataset.rows()
    assert (len(tallied), tallied.unphysical) == (150, read.unphysical)
    assert set(tallied.tally.axes) == set(read.axes)
    bins = tallied.tally.bins
    for name, values in read.numbers.items():
        counts = np.bincount(bins.index(name, values), minlength=len(bins.edges[name]) + 1)
        assert np.array_equal(tallied.tally.axes[name].weight, counts)


def test_a_histogram_of_all_events_reads_none(checkpoint: Checkpoint, out: Path) -> None:
    pytest.importorskip("hist")
    dataset = run(planned(checkpoint, out))
    energy = dataset.load().columns["electron.energy"].numpy()
    for shard in dataset.shards():
        (out / shard.file).unlink()
    whole = mleg.histogram(dataset, "electron.energy")
    assert whole.sum(flow=True) == len(energy)
    assert whole.axes[0].label == "electron.energy [GeV]"
    asked = np.quantile(energy, [0.2, 0.5, 0.8])
    few = mleg.histogram(dataset, "electron.energy", asked)
    own = few.axes[0].edges
    np.testing.assert_allclose(own, asked, rtol=1e-2)
    beyond = (energy < own[0]).sum(), (energy >= own[-1]).sum()
    counted, _ = np.histogram(energy[energy < own[-1]], own)
    assert few.view(flow=True).tolist() == [beyond[0], *counted, beyond[1]]
    with pytest.raises(ConfigError, match=r"no observable 'electron.e'.* it has .*electron.energy"):
        mleg.histogram(dataset, "electron.e")
    with pytest.raises(ConfigError, match=r"edges: 1 leave no bin of 'electron.energy'"):
        mleg.histogram(dataset, "electron.energy", [1.0])


def test_object_store_is_resumed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = f"memory://{tmp_path.name}"
    job = planned(checkpoint, folder)
    assert run(job).digest == run(planned(checkpoint, tmp_path / "local")).digest
    assert set(job.whole()) == {0, 1, 2}
    write_bytes(f"{folder}/{job.shards[1].file}", b"half")
    assert set(job.whole()) == {0, 2}
    assert run(job).rows() == len(run(job).load()) == 250


@pytest.mark.parametrize("text", ["{", "[]", '{"sample": 1}', "[" * 100_000])
def test_shard_with_a_damaged_record_is_made_again(
    checkpoint: Checkpoint, out: Path, text: str
) -> None:
    run(planned(checkpoint, out))
    before = content(out)
    (out / "records" / "00000001.json").write_text(text)
    assert set(planned(checkpoint, out).whole()) == {0, 2}
    run(planned(checkpoint, out))
    assert content(out) == before


def test_falsified_manifest_is_written_again(checkpoint: Checkpoint, out: Path) -> None:
    run(planned(checkpoint, out))
    place = out / "manifest.json"
    manifest = json.loads(place.read_text())
    place.write_text(json.dumps(manifest | {"bins": None, "conditions": {"beam_energy": 10.0}}))
    mended = run(planned(checkpoint, out)).manifest
    assert mended.conditions == {"beam_energy": 50.0}
    assert mended.bins is not None


def test_damaged_plan_is_named(checkpoint: Checkpoint, out: Path) -> None:
    run(planned(checkpoint, out))
    (out / PLAN).write_text("{")
    with pytest.raises(DataError, match=r"plan.json: damaged, .*; choose another --out"):
        planned(checkpoint, out)


def test_a_sample_of_an_older_format_is_refused_for_its_version_alone(
    checkpoint: Checkpoint, out: Path
) -> None:
    run(planned(checkpoint, out))
    plan, manifest = (json.loads((out / file).read_text()) for file in (PLAN, SAMPLED))
    plan["spec"] |= {"conditions": {"beam_energy": 50.0}, "spectra": {}}
    (out / PLAN).write_text(json.dumps(plan | {"format_version": 3}))
    manifest |= {"format_version": 1, "particles": {}, "objects": {}}
    (out / SAMPLED).write_text(json.dumps(manifest))
    for file, version, read in (
        (PLAN, 3, lambda: planned(checkpoint, out)),
        (SAMPLED, 1, lambda: Dataset.open(str(out))),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        assert str(caught.value) == (
            f"{out / file}: format_version is {version}; this version of mleg_ray reads "
            f"{version + 1} only: make it again, or use the version that made it"
        )


def test_record_of_another_shard_proves_nothing(checkpoint: Checkpoint, out: Path) -> None:
    job = planned(checkpoint, out)
    run(job)
    for file in ("shards/0000000{}.parquet", "records/0000000{}.json"):
        shutil.copy(out / file.format(0), out / file.format(1))
    assert set(job.whole()) == {0, 2}


def test_other_programs_read_the_folder_of_shards(checkpoint: Checkpoint, out: Path) -> None:
    run(planned(checkpoint, out))
    assert pyarrow.dataset.dataset(out / "shards").count_rows() == 250
    assert set(pq.read_table(out / "shards").column_names) == set(ELECTRON)


def test_another_plan_is_refused(checkpoint: Checkpoint, out: Path, tmp_path: Path) -> None:
    begin(planned(checkpoint, out))
    with pytest.raises(ConfigError, match=r"seed is 1 there, 2 is asked for\); choose another"):
        planned(checkpoint, out, seed=2)
    with pytest.raises(ConfigError, match=r"events is 250 there, 300 is asked for"):
        planned(checkpoint, out, events=300)
    other = small_checkpoint(tmp_path / "other", "training.seed=2")
    with pytest.raises(ConfigError, match="checkpoint is"):
        planned(other, out)


def test_another_condition_is_told_by_its_name(tmp_path: Path, out: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint", conditional=True)

    def asked(energy: Spectrum) -> SampleJob:
        conditions = {"beam_energy": energy}
        return plan_sample(
            checkpoint, 100, str(out), seed=1, shard_events=100, conditions=conditions
        )

    begin(asked(constant(50)))
    for energy, told in (
        (constant(20), "20"),
        (UniformSpectrum(low=10, high=50), "uniform-10-50"),
    ):
        with pytest.raises(ConfigError, match=rf"beam_energy is 50 there, {told} is asked for\)"):
            asked(energy)


def test_folder_of_other_files_is_refused(checkpoint: Checkpoint, out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds other files and no plan\.json"):
        planned(checkpoint, out)


def test_shard_larger_than_memory_is_refused(checkpoint: Checkpoint, out: Path) -> None:
    with pytest.raises(ConfigError, match="--shard-events to 16,000,000 or fewer"):
        plan_sample(checkpoint, 10**9, str(out), seed=1, shard_events=10**9, conditions={})


def test_diverged_model_is_found_before_the_work(tmp_path: Path, out: Path) -> None:
    with pytest.raises(CheckpointError, match="not finite"):
        planned(diverged_checkpoint(tmp_path / "checkpoint"), out)
    assert not out.exists()


def test_too_little_space_is_found_before_the_work(
    checkpoint: Checkpoint, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000))
    job = planned(checkpoint, out)
    with pytest.raises(ResourceError, match="are needed"):
        rehearse(job, job.shards)


def test_read_only_target_is_found_before_the_work(
    checkpoint: Checkpoint, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)  # a test may run as root, who may write anywhere
    job = planned(checkpoint, out)
    with pytest.raises(ResourceError, match="no permission"):
        rehearse(job, job.shards)


def test_full_disk_leaves_only_whole_shards(
    checkpoint: Checkpoint, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = planned(checkpoint, out)
    begin(job)
    made(job.sampler, job.shards[0])
    before = content(out)

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ResourceError, match="No space left on device"):
        made(job.sampler, job.shards[1])
    assert content(out) == before


def test_plan_says_what_is_sampled(checkpoint: Checkpoint, out: Path) -> None:
    begin(planned(checkpoint, out))
    plan = json.loads((out / "plan.json").read_text())
    assert plan["spec"]["checkpoint"] == checkpoint.digest
    assert plan["checkpoint_uri"] == checkpoint.uri
