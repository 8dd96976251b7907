"""Hive partitions: one value of a condition in a shard, told by its folder."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pytest

from mleg_ray.catalog.convert import Conversion, convert_shard
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import ConfigError
from mleg_ray.folder import SealedFolder
from mleg_ray.sampling.job import SampleJob, plan_sample
from mleg_ray.sampling.spectra import ChoiceSpectrum, Spectrum, UniformSpectrum, constant
from tests.checkpoints import small_checkpoint
from tests.sampling.test_job import run
from tests.sampling.test_verification import verified


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"), conditional=True)


def planned(checkpoint: Checkpoint, folder: Path, spectrum: Spectrum, events: int) -> SampleJob:
    return plan_sample(
        checkpoint, events, str(folder), seed=1, shard_events=100, compiled=False,
        conditions={"beam_energy": spectrum}, partition="beam_energy",
    )  # fmt: skip


@pytest.fixture(scope="module")
def sample(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("sample") / "out"
    spectrum = ChoiceSpectrum(values=(10, 7.3, 50), weights=(2, 1, 1))
    job = planned(checkpoint, folder, spectrum, 750)
    return run(job)


def test_other_programs_read_the_value_from_the_folder(sample: Dataset) -> None:
    assert sorted(path.name for path in Path(sample.uri, "shards").iterdir()) == [
        "beam_energy=10",
        "beam_energy=50",
        "beam_energy=7.3",
    ]
    energy = pa.schema([("beam_energy", pa.float64())])
    partitioning = pyarrow.dataset.partitioning(energy, flavor="hive")
    table = pyarrow.dataset.dataset(f"{sample.uri}/shards", partitioning=partitioning).to_table()
    energies, counts = np.unique(table["beam_energy"].to_numpy(), return_counts=True)
    np.testing.assert_allclose(energies, [7.3, 10, 50])
    assert counts.tolist() == [200, 400, 150]  # of eight shards, the last one is half full
    assert (table["electron.energy"].to_numpy() <= table["beam_energy"].to_numpy()).all()


def test_the_value_is_the_events(sample: Dataset, tmp_path: Path) -> None:
    events = sample.load()
    assert len(events) == 750
    assert sorted(set(events.columns["beam_energy"].tolist())) == [7.3, 10, 50]
    assert sample.at({"beam_energy": 50}).rows() == 150
    plan = Conversion(source=sample.uri, dataset=sample.digest, to="csv")
    last = len(sample.shards()) - 1
    convert_shard(SealedFolder(str(tmp_path), plan), sample, last)
    [file] = tmp_path.glob("*.csv")
    assert pyarrow.csv.read_csv(file)["beam_energy"].unique().to_pylist() == [50]


def test_verified_and_resumed(sample: Dataset, checkpoint: Checkpoint) -> None:
    assert not verified(Path(sample.uri)).faults
    spectrum = ChoiceSpectrum(values=(10, 7.3, 50), weights=(2, 1, 1))
    again = run(planned(checkpoint, Path(sample.uri), spectrum, 750))
    assert again.manifest.shards == sample.manifest.shards


@pytest.mark.parametrize(
    ("spectrum", "events", "told"),
    [
        (UniformSpectrum(low=10, high=50), 1000, "takes some values, as with"),
        (constant(10), 1000, "takes some values, as with"),
        (
            ChoiceSpectrum(values=(10, 20, 30)),
            200,
            "of 2 shards .* none is left for .* 20",
        ),
    ],
)
def test_what_cannot_be_partitioned(
    checkpoint: Checkpoint, tmp_path: Path, spectrum: Spectrum, events: int, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        planned(checkpoint, tmp_path / "out", spectrum, events)


def test_a_size_of_files_makes_shards_enough_for_all_values(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    job = plan_sample(
        checkpoint,
        20_000,
        str(tmp_path / "out"),
        seed=1,
        shard_bytes=100_000,
        conditions={"beam_energy": ChoiceSpectrum(values=(10, 20, 50))},
        partition="beam_energy",
    )
    assert {shard.at["beam_energy"] for shard in job.shards} == {10, 20, 50}
