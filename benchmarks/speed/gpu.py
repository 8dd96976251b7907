"""A GPU at training and at sampling, in minutes: what it gains, and what bounds it.

Training: steps a second of a recipe, its features, weights and snapshots included, and of a bare
loop of the same networks, in turn. Sampling: events a second from noise to momenta on the device;
of whole shards, as a worker makes them; and of the host's part of these, one core that checks,
counts and writes, which bounds them. Networks of one step: a speed is not a matter of what
they learned. Events are toy electrons. `--device cpu` measures the same without a GPU.
"""

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer

from benchmarks.common.bare_gan import bare_steps_per_second, finish
from benchmarks.common.options import Repeated, Rounds
from benchmarks.common.results import Results, Row, timed
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.rehearsal import Rehearsal
from mleg_ray.errors import ConfigError
from mleg_ray.run import RunConfig
from mleg_ray.sampling.job import making, plan_sample
from mleg_ray.training.trainee import Trainee
from tests.prepared import prepared_dataset

TRAINED = ("fatgan-quick", "fatgan", "fatgan-paper")  # which differ in batch and networks
TAUGHT_BY = {"fatgan": None, "student-dis": "flow-dis"}  # what samples, and its teacher
SHARDS = 4  # of which the first, which compiles, is not timed


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """Where, and how much."""

    device: Annotated[
        Literal["cuda", "cpu"] | None, typer.Option(help="Where; on a GPU if there is one.")
    ] = None
    steps: Annotated[
        int, typer.Option(min=3, help="Of each training, of which a third is not timed.")
    ] = 500
    events: Annotated[int, typer.Option(min=1000, help="In a shard.")] = 2_000_000
    rounds: Rounds = 3

    @property
    def place(self) -> torch.device:
        """The device; `ConfigError` if it is asked for and not there."""
        there = torch.cuda.is_available()
        if self.device == "cuda" and not there:
            raise ConfigError("--device cuda: this machine has no CUDA device; use --device cpu")
        return torch.device(self.device or ("cuda" if there else "cpu"))


def measure(options: Asked, results: Results) -> None:
    """Measure training, then sampling."""
    device = options.place
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    torch.set_num_threads(1)
    steps = options.few(options.steps, 3)
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepared_dataset(Path(folder) / "data", options.few(50_000, 500))
        for recipe in options.some(TRAINED):
            run = RunConfig.load(
                recipe, (f"training.steps={steps}", f"selection.every={steps // 3}")
            )
            of = f"{run.training.steps} x {run.training.batch_size}"
            for number in options.turns:
                ours = steps_per_second(run, dataset, device)
                bare = bare_steps_per_second(run, dataset, device)
                rates = {"steps/s": ours, "steps/s bare": bare, "ratio": ours / bare}
                labels = {"trained": recipe, "on": name, "steps x batch": of}
                results.add(labels, rates, round=number)
        for recipe, teacher in TAUGHT_BY.items():
            place = f"{folder}/{recipe}"
            events = options.few(options.events, 500)
            checkpoint = untrained(recipe, teacher, dataset, place)
            for number in options.turns:
                rates = sampled(checkpoint, events, device, f"{place}-{number}")
                results.add({"sampled": recipe, "on": name, "shard": events}, rates, round=number)


def steps_per_second(run: RunConfig, dataset: Dataset, device: torch.device) -> float:
    """Train in this process, from the first snapshot to the last."""
    trainee = Trainee.alone(run, dataset, {}, device)
    for _ in trainee.train():
        pass
    first, last = trainee.selector.history[0], trainee.selector.history[-1]
    return (last.step - first.step) / (last.seconds - first.seconds)


def untrained(recipe: str, teacher: str | None, dataset: Dataset, folder: str) -> Checkpoint:
    """Return the checkpoint of one step, made on a CPU."""
    own = (f"teacher={untrained(teacher, None, dataset, folder).uri}",) if teacher else ()
    return Rehearsal(folder).once(RunConfig.load(recipe, own), dataset)


def sampled(checkpoint: Checkpoint, events: int, device: torch.device, folder: str) -> Row:
    """Return the events a second on the device, of whole shards, and of the host's part of these.

    The host checks, counts, compresses and hashes what comes from the device, on one core.
    """
    kind: Literal["cuda", "cpu"] = "cuda" if device.type == "cuda" else "cpu"
    there = Checkpoint.load(checkpoint.uri, device)
    job = plan_sample(
        there, SHARDS * events, folder, seed=1, shard_events=events, conditions={}, device=kind
    )
    rng = torch.Generator(device).manual_seed(1)
    given = there.given(min(events, job.spec.batch_events)).to(device)
    calls = max(1, events // len(given))
    seconds = {"raw": 0.0, "written": 0.0, "host": 0.0}
    with making(job):
        for shard in job.shards:
            finish(device)
            started = time.perf_counter()
            for _ in range(calls):
                there.generate(given, generator=rng)
            finish(device)
            raw = time.perf_counter() - started
            made, generating = timed(partial(job.sampler.generate, shard))
            _, writing = timed(partial(job.sampler.write, shard, made))
            if shard.index:
                seconds["raw"] += raw * events / (calls * len(given))
                seconds["written"] += generating + writing
                seconds["host"] += writing
    return {f"events/s {name}": (SHARDS - 1) * events / taken for name, taken in seconds.items()}
