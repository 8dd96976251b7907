"""What bounds memory counts bytes: images are worked on in smaller pieces than few numbers are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mleg_ray.catalog.codec import bytes_of
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.config import parse
from mleg_ray.events import Events, EventSchema, Field
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.models.base import GENERATED
from mleg_ray.objectives import distillation
from mleg_ray.run import TrainingConfig
from mleg_ray.sampling import plan, sampler
from mleg_ray.sampling.job import SHARD, plan_sample
from mleg_ray.sampling.pipeline import Generated, Pipeline
from mleg_ray.study import measures
from tests.checkpoints import images_checkpoint, jets_checkpoint, small_checkpoint
from tests.dis_events import ELECTRON, SCHEMA
from tests.recipes import small_run, training_events

STORED = bytes_of(SCHEMA)  # of an electron and its beam energy
FEATURES = 4 * 3  # of an electron
IMAGE = 4 * 64 * 64


@pytest.mark.parametrize(
    ("bytes_", "most", "event_bytes", "expected"),
    [
        (100, 5, 10, 5),
        (100, 50, 10, 10),
        (100, 50, 9, 11),
        (100, 50, 1000, 1),  # one at least
        (100, 50, 0, 50),
        (100, None, 10, 10),
    ],
)
def test_as_many_as_fit(bytes_: int, most: int | None, event_bytes: int, expected: int) -> None:
    assert AtOnce(bytes_, most).of(event_bytes) == expected


CHUNK = TrainingConfig.model_fields["chunk_events"].default
BOUNDS = {
    "batch": (plan.BATCH["cpu"], FEATURES, 4096, 256),
    "batch on a GPU": (plan.BATCH["cuda"], FEATURES, 65_536, 4096),
    "pilot": (sampler.PILOT, STORED, 262_144, 16_384),
    "counted": (sampler.COUNTED, STORED, 16_384, 1024),
    "shard": (SHARD, STORED, 250_000, 4096),
    "pairs of a teacher": (distillation.PAIRS, FEATURES, 65_536, 256),
    "generated, as those that judge a snapshot": (GENERATED, FEATURES, 349_525, 256),
    "throughput": (measures.EVENTS, FEATURES, 100_000, 16_384),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_few_numbers_are_bounded_by_events_and_images_by_bytes(name: str) -> None:
    """Samples and trainings of electrons depend on these numbers of events."""
    bound, few, electrons, images = BOUNDS[name]
    assert (bound.of(few), bound.of(IMAGE)) == (electrons, images)


def test_streamed_chunks_are_bounded_too() -> None:
    training = small_run("fatgan-quick").training
    assert (training.chunk.of(STORED), training.chunk.of(IMAGE)) == (131_072, 8192)
    fewer = parse(TrainingConfig, training.model_dump() | {"chunk_events": 700}, "training")
    assert (fewer.chunk.of(STORED), fewer.chunk.of(IMAGE)) == (700, 700)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return images_checkpoint(tmp_path_factory.mktemp("images"))


def test_batches_and_shards_of_images_are_smaller(images: Checkpoint, tmp_path: Path) -> None:
    spec = plan_sample(images, 100, str(tmp_path / "images"), seed=1, conditions={}).spec
    assert (spec.batch_events, spec.shard_events) == (256, 4096)
    electrons = small_checkpoint(tmp_path / "electrons")
    of_electrons = plan_sample(electrons, 100, str(tmp_path / "out"), seed=1, conditions={}).spec
    assert (of_electrons.batch_events, of_electrons.shard_events) == (4096, 250_000)


def test_the_digest_of_a_sample_tells_its_batches(images: Checkpoint, tmp_path: Path) -> None:
    spec = plan_sample(images, 100, str(tmp_path / "out"), seed=1, conditions={}).spec
    other = spec.model_copy(update={"batch_events": 255})
    assert spec.digest() != other.digest()


def test_counts_are_the_same_whatever_is_counted_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = jets_checkpoint(tmp_path / "checkpoint")
    job = plan_sample(checkpoint, 500, str(tmp_path / "out"), seed=1, conditions={})
    events, bins = job.sampler.generate(job.shards[0]), job.sampler.learn_bins()
    whole = job.sampler.tally(events, bins)
    monkeypatch.setattr(sampler, "COUNTED", AtOnce(MIB, events=7))
    again = job.sampler.tally(events, bins)
    for there, here in ((whole.axes, again.axes), (whole.planes, again.planes)):
        for name, histogram in there.items():
            assert np.array_equal(histogram.weight, here[name].weight), name
    broken = [
        {rule: share.events for rule, share in tally.unphysical.violating.items()}
        for tally in (whole, again)
    ]
    assert broken[0] == broken[1]
    assert broken[0]["any"] > 0


def test_the_pilot_of_images_holds_a_bounded_number_of_bytes(
    images: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen thousand events of 64 x 64 pixels would have 256 MiB."""
    made: list[int] = []
    generate = Pipeline.__call__

    def counted(pipeline: Pipeline, *given: object) -> Generated:
        made.append(pipeline.batch)
        return generate(pipeline, *given)

    monkeypatch.setattr(Pipeline, "__call__", counted)
    monkeypatch.setattr(sampler, "PILOT", AtOnce(8 * MIB, events=262_144))
    plan_sample(images, 100, str(tmp_path / "out"), seed=1, conditions={})
    assert sum(made) * IMAGE == 8 * MIB


def test_generating_in_pieces_keeps_the_order_and_the_conditions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = small_checkpoint(tmp_path, conditional=True)
    given = training_events(100, conditional=True)
    monkeypatch.setattr("mleg_ray.models.base.GENERATED", AtOnce(30 * FEATURES))
    made = checkpoint.generate(given, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    monkeypatch.undo()
    parts = [checkpoint.generate(part, generator=generator) for part in given.split(30)]
    assert [len(part) for part in parts] == [30, 30, 30, 10]
    expected = Events.concatenate(parts)
    for name in (*ELECTRON, "beam_energy"):
        assert torch.equal(made.columns[name], expected.columns[name])
    assert torch.equal(made.columns["beam_energy"], given.columns["beam_energy"])


def test_nothing_is_split_into_one_piece_of_nothing() -> None:
    empty = EventSchema([Field(name="x")]).events({"x": torch.zeros(0).double()}, {})
    assert [len(part) for part in empty.split(10)] == [0]
