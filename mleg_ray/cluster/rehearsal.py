"""How long a production takes here: measured on some events, a few steps and one shard."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.prepare import PreparePlan, finish, make_shard, plan_dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import CheckpointError, ConfigError
from mleg_ray.run import RunConfig
from mleg_ray.sampling.job import making, plan_sample
from mleg_ray.sampling.plan import SampledShard
from mleg_ray.sampling.spectra import Spectrum
from mleg_ray.storage import join
from mleg_ray.training.pace import steps_a_second
from mleg_ray.training.trainee import Trainee

# Events of a shard. Two sizes tell what a shard takes from what an event does.
SMALL, LARGE = 50, 500
SHARDS = 20  # of the small dataset
PACE_SECONDS = 2.0
SAMPLED = 20_000  # events of the shard that is timed


@dataclass(frozen=True)
class Preparation:
    """What events take to make, in seconds of one core: each shard, and each event of it."""

    shard: float
    event: float

    def seconds(self, plan: PreparePlan) -> float:
        """Return how long one core makes all shards of a dataset."""
        return sum(self.shard + self.event * shard.rows for shard in plan.shards)


@dataclass(frozen=True)
class Rehearsal:
    """The stages of a production in small, one after the other, in a folder of its own."""

    folder: str

    def prepare(self, name: str) -> tuple[Dataset, Preparation]:
        """Make a thousand events of a catalog's entry, and return what theirs take.

        A generator that is set up for each shard takes as long for few events as for many, so that
        shards of two sizes are timed.

        Raises:
            ConfigError: its source makes no events, but reads files.
            UserError: see `plan_dataset` and `make_shard`.
        """
        source = DatasetSpec.load(name).source
        folded = source.kind == "folded"
        if not folded and "events" not in type(source).model_fields:
            raise ConfigError(f"{name} reads events, and makes none")

        def planned(events: int) -> PreparePlan:
            """Plan shards of so many events."""
            all_events = f"{'source.of' if folded else 'source'}.events={events * SHARDS}"
            spec = DatasetSpec.load(name, (all_events, f"shard_events={events}"))
            return plan_dataset(spec, join(self.folder, f"shards-of-{events}"))

        small, large = planned(SMALL), planned(LARGE)
        first, *others = (shard.index for shard in small.shards)
        records = {first: make_shard(small, first)}  # loads what is loaded once
        started = time.monotonic()
        records |= {index: make_shard(small, index) for index in others}
        of_small = (time.monotonic() - started) / len(others)
        started = time.monotonic()
        make_shard(large, first)
        of_large = time.monotonic() - started
        event = max(0.0, of_large - of_small) / (LARGE - SMALL)
        return finish(small, records), Preparation(max(0.0, of_small - event * SMALL), event)

    def train(self, run: RunConfig, dataset: Dataset) -> tuple[Checkpoint, float]:
        """Train a recipe for a step, and return the seconds of one on the threads that it takes.

        Raises:
            UserError: see `steps_a_second`.
        """
        step = 1 / steps_a_second(run, dataset, seconds=PACE_SECONDS)
        return self.once(run, dataset), step

    def once(self, run: RunConfig, dataset: Dataset) -> Checkpoint:
        """Train a recipe for a step on a CPU.

        Raises:
            UserError: see `Trainee.alone`, or the step was not finite.
        """
        training = run.training.model_copy(update={"steps": 1})
        selection = run.selection.model_copy(update={"every": 1})
        short = run.model_copy(update={"training": training, "selection": selection})
        trainee = Trainee.alone(short, dataset, {}, torch.device("cpu"))
        for _ in trainee.train():
            pass
        best = trainee.best()
        if best is None:
            raise CheckpointError("not a single step was finite")
        place = join(self.folder, f"checkpoint-{run.digest()[:8]}")
        best.save(place)
        return Checkpoint.load(place)

    def sample(
        self, checkpoint: Checkpoint, conditions: Mapping[str, Spectrum]
    ) -> tuple[SampledShard, float]:
        """Generate and write some events; return the seconds of one on one core.

        Raises:
            ConfigError: the conditions do not fit the checkpoint.
            UserError: see `plan_sample` and `Sampler`.
        """
        job = plan_sample(
            checkpoint,
            SAMPLED,
            join(self.folder, "sample"),
            seed=1,
            shard_events=SAMPLED,
            conditions=conditions,
            compiled=False,
        )
        [shard] = job.shards
        with making(job):
            job.sampler.write(shard, job.sampler.generate(shard))  # loads what is loaded once
            started = time.monotonic()
            record = job.sampler.write(shard, job.sampler.generate(shard))
        return record, (time.monotonic() - started) / SAMPLED
