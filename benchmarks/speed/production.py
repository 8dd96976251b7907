"""A large sample beside the bare network and Pythia 8.

In one run, with as many processes of one thread each as there are workers: the rate of the bare
network on noise that is there already, as it is and compiled (the faster one counts); the rate of
Pythia 8 generating the same process; the rate of `mleg sample` from noise to Parquet, after the
start-up of the pool; the workers' peak memory and the bytes of an event. The sample is deleted.
"""

import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from benchmarks.common.options import Options
from benchmarks.common.results import Results
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.commands.options import CheckpointPlace, Events, assigned, uri_of
from mleg_ray.console import meanwhile
from mleg_ray.errors import CheckpointError
from mleg_ray.models.networks.mlp import MLP
from mleg_ray.models.student import Student
from mleg_ray.sampling.plan import BATCH
from mleg_ray.sampling.spectra import read_condition


@dataclass(frozen=True, kw_only=True)
class Asked(Options):
    """What is sampled."""

    checkpoint: CheckpointPlace
    events: Events = 200_000_000
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread.")] = 2
    conditions: Annotated[
        list[str],
        typer.Option("--condition", default_factory=list, help="beam_energy=50; repeatable."),
    ]


def measure(options: Asked, results: Results) -> None:
    """Measure in turn: networks, Pythia, a sample, and networks again."""
    # As the processes beside which they are measured.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so
    uri, workers, events = uri_of(options.checkpoint), options.workers, options.few(options.events)
    conditions = {
        name: read_condition(name, text, "") for name, text in assigned(options.conditions).items()
    }
    network_of(Checkpoint.load(uri))  # refused before it is measured
    seconds = 0.1 if options.small else 10.0
    networks = {
        name: partial(network_rate, checkpoint_uri=uri, compiled=compiled, seconds=seconds)
        for name, compiled in (("as it is", False), ("compiled", True))
        if not (compiled and options.small)
    }
    rates = [{name: together(work, workers) for name, work in networks.items()}]
    pythia = together(partial(pythia_rate, events=options.few(50_000, 100)), workers)
    memory: dict[int, int] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        target = str(Path(folder, "sample").absolute())
        with ray_session(workers), meanwhile(partial(note_memory, memory)):
            dataset = sample(
                uri,
                events,
                target,
                workers=workers,
                shard_events=options.few(1_000_000, 500),
                conditions=conditions,
            )
        production = dataset.manifest.provenance["production"]
        stored = sum(shard.bytes for shard in dataset.manifest.shards) / dataset.rows()
        shutil.rmtree(target)
    rates.append({name: together(work, workers) for name, work in networks.items()})
    raw = {name: statistics.fmean(rate[name] for rate in rates) for name in networks}
    steady = production["steady_events_per_second"]
    figures = {
        "s": production["seconds"],
        "s to the first shard": production["first_shard_seconds"],
        "events/s after it": steady,
        **{f"events/s of the network {name}": rate for name, rate in raw.items()},
        "over the network's": steady / max(raw.values()),
        "events/s of Pythia": pythia,
        "over Pythia's": steady / pythia,
        "peak of a worker, GB": max(memory.values()) / 1e9 if memory else None,
        "bytes an event": stored,
    }
    results.add({"events": events, "workers": workers}, figures)


def network_of(checkpoint: Checkpoint) -> nn.Module:
    """Return the layers of a student, of which a bare one is made.

    Raises:
        CheckpointError: it is no student's, or of other than plain layers.
    """
    student = checkpoint.model.student if isinstance(checkpoint.model, Student) else None
    if not isinstance(student, MLP):
        raise CheckpointError(
            f"{checkpoint.uri}: the bare network that is measured is a student's of kind 'mlp'; "
            "name the checkpoint of student-dis, say"
        )
    return student.net


def network_rate(index: int, checkpoint_uri: str, compiled: bool, seconds: float) -> float:
    """Return events/s of the student's network alone, one thread, measured for some seconds."""
    torch.set_num_threads(1)
    checkpoint = Checkpoint.load(checkpoint_uri)
    network = network_of(checkpoint)
    batch = BATCH["cpu"].of(checkpoint.feature_map.space.nbytes)
    width = next(network.parameters()).shape[1]
    seen = torch.randn(batch, width)
    forward = torch.compile(network) if compiled else network
    with torch.inference_mode():
        forward(seen)
        batches, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            forward(seen)
            batches += 1
    return batches * batch / (time.perf_counter() - started)


def pythia_rate(index: int, events: int) -> float:
    """Return events/s of Pythia 8 alone, without its initialisation of a quarter of a second."""
    spec = DatasetSpec.load("dis-ep-50", (f"shard_events={events}", "source.events=1000000"))
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    started = time.perf_counter()
    source.shard(index)
    return events / (time.perf_counter() - started)


def together(work: Callable[[int], float], workers: int) -> float:
    """Run work at once in processes of their own; return the sum of their rates."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return sum(pool.map(work, range(workers), chunksize=1))


def note_memory(found: dict[int, int]) -> None:
    """Note the largest memory (bytes) of each sampling worker, by process; Linux tells it."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"_Worker" in (process / "cmdline").read_bytes():
                lines = (process / "status").read_text().splitlines()
                [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
                found[int(process.name)] = 1024 * int(peak)
        except (OSError, ValueError):
            continue  # it has just ended
