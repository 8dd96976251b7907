"""One shard: its bytes, its description, and what may not be written."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mleg_ray.catalog.shards import footer
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import CheckpointError
from mleg_ray.events import Field
from mleg_ray.randomness import stream
from mleg_ray.sampling.plan import BATCH, BINS_FILE, SampleSpec, ShardPlan
from mleg_ray.sampling.sampler import Sampler
from mleg_ray.sampling.spectra import constant
from mleg_ray.storage import write_bytes
from tests.checkpoints import diverged_checkpoint, made, small_checkpoint
from tests.dis_events import ELECTRON

BATCH_EVENTS = BATCH["cpu"].of(1)
SHARD = ShardPlan(index=3, events=BATCH_EVENTS + 100, seed=7)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def sampler(checkpoint: Checkpoint, folder: Path, beam_energy: float = 50.0) -> Sampler:
    spec = SampleSpec(
        checkpoint=checkpoint.digest,
        events=100_000,
        shard_events=20_000,
        seed=1,
        conditions={"beam_energy": constant(beam_energy)},
        compiled=False,
        batch_events=BATCH_EVENTS,
    )
    return Sampler(checkpoint, spec, str(folder))


def writing_sampler(checkpoint: Checkpoint, folder: Path) -> Sampler:
    """A sampler whose folder has the bins of its tallies."""
    worker = sampler(checkpoint, folder)
    write_bytes(str(folder / BINS_FILE), worker.learn_bins().to_bytes())
    return worker


def test_same_shard_has_the_same_bytes(checkpoint: Checkpoint, tmp_path: Path) -> None:
    there, again = (writing_sampler(checkpoint, tmp_path / name) for name in "ab")
    made(again, ShardPlan(index=2, events=50, seed=6))  # another shard before it changes nothing
    assert made(there, SHARD) == made(again, SHARD)
    files = [tmp_path / folder / SHARD.file for folder in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_no_event_repeats(checkpoint: Checkpoint, tmp_path: Path) -> None:
    worker = sampler(checkpoint, tmp_path)
    shards = [SHARD, ShardPlan(index=4, events=1000, seed=8)]
    px = np.concatenate([worker.generate(shard).stored["electron.px"] for shard in shards])
    py = np.concatenate([worker.generate(shard).stored["electron.py"] for shard in shards])
    assert len(np.unique(px + 1j * py)) == len(px)


def test_shard_holds_the_checkpoints_own_events(checkpoint: Checkpoint, tmp_path: Path) -> None:
    columns = sampler(checkpoint, tmp_path).generate(SHARD).stored
    generator = stream(SHARD.seed)
    expected = checkpoint.generate(checkpoint.given(BATCH_EVENTS), generator=generator)
    assert tuple(columns) == ELECTRON
    for name in ELECTRON:
        np.testing.assert_array_equal(columns[name][:BATCH_EVENTS], expected.columns[name].float())


def test_shard_describes_itself(checkpoint: Checkpoint, tmp_path: Path) -> None:
    record = made(writing_sampler(checkpoint, tmp_path), SHARD)
    schema = pq.read_schema(tmp_path / SHARD.file)
    assert schema.names == list(ELECTRON)  # the fixed condition is no column
    assert {str(field.type) for field in schema} == {"float"}
    assert schema.field("electron.px").metadata[b"unit"] == b"GeV"
    metadata = footer(str(tmp_path / SHARD.file))
    assert metadata["mleg.checkpoint"] == f'"{checkpoint.digest}"'
    assert metadata["mleg.conditions"] == '{"beam_energy": 50.0}'
    assert (metadata["mleg.index"], metadata["mleg.seed"]) == ("3", "7")
    assert (record.entry.rows, record.entry.split, record.entry.seed) == (SHARD.events, "sample", 7)


def test_condition_moves_the_events(tmp_path: Path) -> None:
    conditional = small_checkpoint(tmp_path / "checkpoint", conditional=True)
    energies = [
        sampler(conditional, tmp_path, beam).generate(SHARD).stored["electron.energy"]
        for beam in (10.0, 50.0)
    ]
    assert energies[0].max() < 10.0 * (1 + 1e-6) < energies[1].max()


def test_weight_field_carries_the_mean_weight(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    fields = (*checkpoint.card.dataset.fields, Field(name="w", role="weight", dtype="float64"))
    dataset = checkpoint.card.dataset.model_copy(update={"fields": fields})
    checkpoint.card = checkpoint.card.model_copy(update={"dataset": dataset})
    checkpoint.feature_map.weight_mean.fill_(-0.25)
    made(writing_sampler(checkpoint, tmp_path), SHARD)
    weights = pq.read_table(tmp_path / SHARD.file)["w"].to_numpy()
    np.testing.assert_array_equal(weights, np.full(SHARD.events, -0.25))


def test_events_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    worker = sampler(diverged_checkpoint(tmp_path / "checkpoint"), tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"'electron.px' that are not finite \(shard 3\)"):
        made(worker, SHARD)
    assert not (tmp_path / "out").exists()


def test_replaced_checkpoint_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    other = small_checkpoint(tmp_path, "training.seed=2")
    spec = SampleSpec(
        checkpoint=checkpoint.digest,
        events=10,
        shard_events=10,
        seed=1,
        conditions={"beam_energy": constant(50.0)},
        compiled=False,
        batch_events=BATCH_EVENTS,
    )
    with pytest.raises(CheckpointError, match="was replaced"):
        Sampler(other, spec, str(tmp_path))
