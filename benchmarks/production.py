"""What a production sample costs beside the student's bare network and beside Pythia 8.

    python benchmarks/production.py CHECKPOINT --events 200_000_000 --workers 2

In one run, with as many processes of one thread each as there are workers: the rate of the bare
network on noise that is there already, as it is and compiled (the faster one counts); the rate of
Pythia 8 generating the same process; the rate of `mleg sample` from noise to Parquet, after the
start-up of the pool; the workers' peak memory and the bytes of an event. The sample is deleted.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from common.results import keep

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.console import meanwhile
from mleg_ray.models.networks.mlp import MLP
from mleg_ray.models.student import Student
from mleg_ray.sampling.plan import BATCH
from mleg_ray.storage import absolute


def network_rate(index: int, checkpoint_uri: str, compiled: bool, seconds: float) -> float:
    """Return events/s of the student's network alone, one thread, measured for some seconds."""
    torch.set_num_threads(1)
    checkpoint = Checkpoint.load(checkpoint_uri)
    assert isinstance(checkpoint.model, Student)
    assert isinstance(checkpoint.model.student, MLP)
    network = checkpoint.model.student.net
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


def main() -> None:
    """Measure in turn; print the figures, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--events", type=int, default=200_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shard-events", type=int, default=1_000_000)
    parser.add_argument("--pythia-events", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="that a network is measured")
    parser.add_argument("--eager", action="store_true", help="compile no network")
    parser.add_argument("--condition", nargs="*", default=[])
    options = parser.parse_args()
    # As the processes beside which they are measured.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so
    uri = absolute(options.checkpoint)
    conditions = {k: float(v) for k, v in (text.split("=") for text in options.condition)}

    def networks() -> dict[str, float]:
        return {
            name: together(
                partial(
                    network_rate, checkpoint_uri=uri, compiled=compiled, seconds=options.seconds
                ),
                options.workers,
            )
            for name, compiled in (("as it is", False), ("compiled", True))
            if not (compiled and options.eager)
        }

    before = networks()
    pythia = together(partial(pythia_rate, events=options.pythia_events), options.workers)
    memory: dict[int, int] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        target = str(Path(folder, "sample").absolute())
        with ray_session(options.workers), meanwhile(partial(note_memory, memory)):
            dataset = sample(
                uri,
                options.events,
                target,
                workers=options.workers,
                shard_events=options.shard_events,
                conditions=conditions,
            )
        production = dataset.manifest.provenance["production"]
        stored = sum(shard.bytes for shard in dataset.manifest.shards) / dataset.rows()
        shutil.rmtree(target)
    after = networks()
    raw = {name: statistics.fmean((before[name], after[name])) for name in before}
    steady = production["steady_events_per_second"]
    figures = {
        "events": options.events,
        "workers": options.workers,
        "seconds": production["seconds"],
        "first_shard_s": production["first_shard_seconds"],
        "written_per_s": steady,
        "network_per_s": raw,
        "written_over_network": steady / max(raw.values()),
        "pythia_per_s": pythia,
        "times_pythia": steady / pythia,
        "worker_peak_gb": max(memory.values()) / 1e9 if memory else None,
        "bytes_per_event": stored,
    }
    print(json.dumps(figures, indent=2))
    keep("production", figures)


if __name__ == "__main__":
    main()
