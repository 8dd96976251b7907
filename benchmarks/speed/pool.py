"""The pool of samplers with one worker, two, and a thousand.

In turn: written events/s with one worker and with two, from the first command to the manifest; the
share of a shard's time that SHA-256, record and manifest take; and a thousand workers that sleep
while the real driver hands them 10,000 shards.
"""

import json
import statistics
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.common.options import Repeated, Rounds
from benchmarks.common.results import Results, Row, timed
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.simulate import simulate
from mleg_ray.commands.options import CheckpointPlace, Events, uri_of
from mleg_ray.sampling.job import SampleJob, making, plan_sample
from mleg_ray.sampling.plan import SampledShard, ShardPlan
from mleg_ray.storage import read_bytes, remove_folder, sha256, write_bytes


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """What is sampled."""

    checkpoint: CheckpointPlace
    events: Events = 100_000_000
    rounds: Rounds = 3


def measure(options: Asked, results: Results) -> None:
    """Measure all three."""
    checkpoint = Checkpoint.load(uri_of(options.checkpoint))
    events, shard_events = options.few(options.events, 200), options.few(1_000_000, 100)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for number in options.turns:
            for workers in (1, 2):
                rates = written(checkpoint, events, shard_events, f"{folder}/out", workers)
                results.add({"workers": workers, "events": events}, rates, round=number)
        job = partial(
            plan_sample,
            checkpoint,
            seed=1,
            shard_events=shard_events,
            conditions={},
            compiled=not options.small,
        )
        taken = proofs(job(events=6 * shard_events, folder=f"{folder}/proofs"))
        many = job(events=options.few(10_000, 20) * shard_events, folder=f"{folder}/many")
        simulation = simulate(
            many, options.few(1000, 1), shard_seconds=0.01 if options.small else 1.0
        )
    one, two = (
        results.median({"workers": workers, "events": events})["events/s"] for workers in (1, 2)
    )
    manifest = simulation.finish_seconds / simulation.shards
    share = (taken["hashes, s"] + taken["record, s"] + manifest) / taken["shard, s"]
    figures = {"two workers over one": two / one, **taken, "share of proofs": share}
    results.add({"events": events}, figures)
    results.add({"of": "simulation"}, simulation.model_dump())


def written(
    checkpoint: Checkpoint, events: int, shard_events: int, folder: str, workers: int
) -> Row:
    """Sample with so many workers; return the rates, and remove the events."""
    with ray_session(workers):
        dataset, seconds = timed(
            partial(
                sample, checkpoint.uri, events, folder, workers=workers, shard_events=shard_events
            )
        )
    production = dataset.manifest.provenance["production"]
    remove_folder(folder)
    return {
        "events/s": events / seconds,
        "events/s after the first shard": production["steady_events_per_second"],
        "s to the first shard": production["first_shard_seconds"],
    }


def proofs(job: SampleJob) -> dict[str, float]:
    """Return the seconds of a whole shard, and of the SHA-256s and the record among them."""
    torch.set_num_threads(1)
    folder = job.folder.uri
    taken: dict[str, list[float]] = {"shard": [], "hashes": [], "record": []}
    with making(job):
        for shard in job.shards:
            record, whole = timed(partial(_made, job, shard))
            contents = [read_bytes(f"{folder}/{file}") for file in (shard.file, shard.tally_file)]
            _, hashing = timed(partial(list, map(sha256, contents)))
            text = json.dumps(record.model_dump(mode="json")).encode()
            _, recording = timed(partial(write_bytes, f"{folder}/again.json", text))
            for name, seconds in zip(taken, (whole, hashing, recording), strict=True):
                taken[name].append(seconds)
    remove_folder(folder)
    return {f"{name}, s": statistics.median(seconds[1:]) for name, seconds in taken.items()}


def _made(job: SampleJob, shard: ShardPlan) -> SampledShard:
    return job.sampler.write(shard, job.sampler.generate(shard))
