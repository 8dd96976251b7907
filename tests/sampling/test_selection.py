"""Samples of selected events: the events that pass, in their order, and what they cost."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.definitions import passing
from mleg_ray.errors import CheckpointError, ConfigError
from mleg_ray.evaluation.samples.datasets import from_dataset, from_generated, matched
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.sampling.job import plan_sample
from mleg_ray.sampling.plan import BATCH
from mleg_ray.sampling.sampler import MOST_TRIES
from tests.checkpoints import diverged_checkpoint, small_checkpoint
from tests.prepared import prepared_dataset
from tests.sampling.test_job import run
from tests.sampling.test_verification import verified

WHERE = ("q2 > 4.5", "phi < -0.4")  # some of an untrained model's events, and of the truth's
EVENTS, SHARD = 3000, 2000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(autouse=True)
def small_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mleg_ray.sampling.sampler.PILOT", AtOnce(MIB, events=20_000))
    monkeypatch.setattr("mleg_ray.sampling.sampler.PILOT_TRIES", 10)


def sampled(
    checkpoint: Checkpoint, folder: Path, where: tuple[str, ...], events: int = EVENTS
) -> Dataset:
    return run(
        plan_sample(
            checkpoint, events, str(folder), seed=1, shard_events=SHARD, conditions={}, where=where
        )
    )


def rows(dataset: Dataset, shard: int) -> np.ndarray:
    table = pq.read_table(f"{dataset.uri}/{dataset.manifest.shards[shard].file}")
    return np.stack([table[name].to_numpy() for name in table.column_names], axis=1)


def test_a_selected_sample_is_the_part_of_a_larger_one(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    selected = sampled(checkpoint, tmp_path / "selected", WHERE)
    assert selected.rows() == EVENTS
    told = selected.manifest.provenance["efficiency"]
    # The first shard's generator, let run without a selection, gives all events it tried.
    job = plan_sample(
        checkpoint, 60_000, str(tmp_path / "all"), seed=1, shard_events=60_000, conditions={}
    )
    everything = run(job)
    kept = passing(WHERE, everything.manifest.joined(everything.load()))
    assert 0.01 < kept.double().mean() < 0.9
    np.testing.assert_array_equal(rows(selected, 0), rows(everything, 0)[kept][:SHARD])
    expected = float(kept.double().mean())
    assert told["value"] == pytest.approx(expected, abs=5 * told["uncertainty"])
    assert told["value"] * told["generated"] == pytest.approx(EVENTS)
    assert verified(tmp_path / "selected").faults == ()


def test_without_a_selection_all_events_count(checkpoint: Checkpoint, tmp_path: Path) -> None:
    told = sampled(checkpoint, tmp_path, ()).manifest.provenance["efficiency"]
    assert told == {"value": 1.0, "uncertainty": 0.0, "generated": EVENTS}


def test_a_selection_that_all_events_pass_is_known_to_one_event(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    told = sampled(checkpoint, tmp_path, ("q2 >= 0",)).manifest.provenance["efficiency"]
    assert told == {"value": 1.0, "uncertainty": 1 / EVENTS, "generated": EVENTS}


def test_truth_that_judges_it_is_cut_alike(checkpoint: Checkpoint, tmp_path: Path) -> None:
    truth = prepared_dataset(tmp_path / "truth")
    part, generated = matched(truth, sampled(checkpoint, tmp_path / "selected", WHERE))
    assert part.manifest.name == "toy-dis where q2 > 4.5 and phi < -0.4"
    assert part.digest == truth.digest
    assert 0 < part.rows("train") < truth.rows("train")
    tally = from_generated(generated, seed=1).tally
    true = from_dataset(part, "train", seed=1, bins=tally.bins if tally else None)
    assert true.origin.events == len(true) == part.rows("train")
    assert (true.numbers["q2"] > 4.5).all()
    assert (true.numbers["phi"] < -0.4).all()
    assert true.tally is not None
    assert true.tally.events == len(true)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("q2 > 1e9", rf"--where q2 > 1e9: 0 of .* pass; at least one in {MOST_TRIES:,} must"),
        ("q3 > 10", "'q3 > 10': 'q3' is neither a finite number nor one of"),
        ("q2 = 10", "where.0: .*write it as 'left <= right'"),
        ("q2 > nan", "neither a finite number"),
    ],
)
def test_what_cannot_be_selected(
    checkpoint: Checkpoint, tmp_path: Path, where: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        sampled(checkpoint, tmp_path / "out", (where,))
    assert not (tmp_path / "out").exists()


def test_events_that_are_no_numbers_are_not_cut_away(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not finite"):
        sampled(diverged_checkpoint(tmp_path / "checkpoint"), tmp_path / "out", WHERE)


def test_another_selection_is_another_sample(checkpoint: Checkpoint, tmp_path: Path) -> None:
    sampled(checkpoint, tmp_path, WHERE, events=100)
    with pytest.raises(ConfigError, match=r"holds another sample \(where is"):
        sampled(checkpoint, tmp_path, WHERE[:1], events=100)


def test_shards_end_at_their_last_event(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """What is tried for a shard does not depend on the size of a batch."""
    told = sampled(checkpoint, tmp_path, WHERE, events=1).manifest.provenance["efficiency"]
    assert 1 <= told["generated"] < BATCH["cpu"].of(1)
    assert told["value"] == 1 / told["generated"]


def test_events_are_those_that_the_model_was_trained_on(tmp_path: Path) -> None:
    """What the recipe selects is selected of its samples too, and of the truth that judges."""
    own = f"where={list(WHERE[:1])}".replace("'", '"')
    checkpoint = small_checkpoint(tmp_path / "checkpoint", own)
    made = sampled(checkpoint, tmp_path / "sample", WHERE[1:], events=500)
    assert made.manifest.where == WHERE
    assert passing(WHERE, made.manifest.joined(made.load())).all()
    truth, _ = matched(prepared_dataset(tmp_path / "truth"), made)
    events = truth.load("test")
    assert 0 < len(events) < 500
    assert passing(WHERE, truth.manifest.joined(events)).all()
