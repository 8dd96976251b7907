"""The pool of samplers: one worker beside two, what proofs cost, and a cluster's worth of shards.

    python benchmarks/pool.py CHECKPOINT --events 100_000_000 --rounds 3

In turn: written events/s with one worker and with two, from the first command to the manifest; the
share of a shard's time that SHA-256, record and manifest take; and a thousand workers that sleep
while the real driver hands them 10,000 shards.
"""

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common.results import keep

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.simulate import simulate
from mleg_ray.sampling.job import SampleJob, making, plan_sample
from mleg_ray.storage import read_bytes, remove_folder, sha256, write_bytes


def written(
    checkpoint: Checkpoint, events: int, shard_events: int, folder: str, workers: int
) -> dict[str, Any]:
    """Sample with so many workers; return the rates, and remove the events."""
    with ray_session(workers):
        started = time.monotonic()
        dataset = sample(checkpoint.uri, events, folder, workers=workers, shard_events=shard_events)
        seconds = time.monotonic() - started
    production = dataset.manifest.provenance["production"]
    remove_folder(folder)
    return {
        "workers": workers,
        "events_per_second": events / seconds,
        "steady_events_per_second": production["steady_events_per_second"],
        "first_shard_s": production["first_shard_seconds"],
    }


def proofs(job: SampleJob) -> dict[str, float]:
    """Return the seconds of a whole shard, and of the SHA-256s and the record among them."""
    torch.set_num_threads(1)
    folder = job.folder.uri
    whole, hashes, records = [], [], []
    with making(job, job.shards):
        for shard in job.shards:
            started = time.perf_counter()
            record = job.sampler.write(shard, job.sampler.generate(shard))
            whole.append(time.perf_counter() - started)
            contents = [read_bytes(f"{folder}/{file}") for file in (shard.file, shard.tally_file)]
            started = time.perf_counter()
            for content in contents:
                sha256(content)
            hashes.append(time.perf_counter() - started)
            text = json.dumps(record.model_dump(mode="json")).encode()
            started = time.perf_counter()
            write_bytes(f"{folder}/again.json", text)
            records.append(time.perf_counter() - started)
    remove_folder(folder)
    taken = {"shard": whole, "hashes": hashes, "record": records}
    return {f"{name}_s": statistics.median(seconds[1:]) for name, seconds in taken.items()}


def _job(
    checkpoint: Checkpoint, shards: int, shard_events: int, folder: str, compiled: bool
) -> SampleJob:
    return plan_sample(
        checkpoint,
        shards * shard_events,
        folder,
        seed=1,
        shard_events=shard_events,
        conditions={},
        compiled=compiled,
    )


def main() -> None:
    """Measure all three, print them, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--events", type=int, default=100_000_000)
    parser.add_argument("--shard-events", type=int, default=1_000_000)
    parser.add_argument("--eager", action="store_true", help="compile no network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--shard-seconds", type=float, default=1.0)
    options = parser.parse_args()
    checkpoint = Checkpoint.load(options.checkpoint)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        rates = []
        for _ in range(options.rounds):
            for workers in (1, 2):
                rates.append(
                    written(
                        checkpoint, options.events, options.shard_events, f"{folder}/out", workers
                    )
                )
                print(rates[-1])
        job = partial(
            _job, checkpoint, shard_events=options.shard_events, compiled=not options.eager
        )
        taken = proofs(job(shards=6, folder=f"{folder}/proofs"))
        print(taken)
        many = job(shards=options.shards, folder=f"{folder}/many")
        simulation = simulate(many, options.workers, shard_seconds=options.shard_seconds)
    one, two = (
        statistics.median(r["events_per_second"] for r in rates if r["workers"] == n)
        for n in (1, 2)
    )
    manifest = simulation.finish_seconds / simulation.shards
    row = {
        "two_over_one": two / one,
        "proofs_share": (taken["hashes_s"] + taken["record_s"] + manifest) / taken["shard_s"],
        "simulation": simulation.model_dump(),
    }
    print(row)
    keep("pool", {"rates": rates, **taken, **row})


if __name__ == "__main__":
    main()
