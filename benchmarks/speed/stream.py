"""Events that are streamed by Ray Data, beside bare PyArrow and beside memory.

Random electrons, 16 bytes each, in shards of 200,000 on the local disk and in a local S3 server (a
test's: it is slow itself, so look at ratios). One worker and two, a thread each, read an epoch in
turn: as events, by Ray Data and by PyArrow, and as minibatches of features, of either and of
memory, where PyArrow's stand in for Ray Data's in the same code. Workers are killed on their way,
and the batches after that are compared, by SHA-256, with those of workers that were not. Then a
recipe is trained from memory and from the stream: steps a second, from the first snapshot to the
last.
"""

import hashlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.dataset
import ray
import ray.train
import torch
from pyarrow.fs import FileSystem
from ray._private import internal_api

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results
from benchmarks.speed.train_overhead import ray_steps_per_second
from mleg_ray.catalog.codec import bytes_of, to_columns, to_events
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import reading_trainer
from mleg_ray.cluster.train_worker import own_events
from mleg_ray.commands.options import Events as Number
from mleg_ray.console import meanwhile
from mleg_ray.events import Events
from mleg_ray.run import RunConfig
from mleg_ray.storage import write_bytes
from mleg_ray.training.batches import Minibatches
from mleg_ray.training.share import fitted_map, mixed_shards, open_share
from tests.prepared import prepared_dataset
from tests.s3 import BUCKET, s3_server

RECIPE = "flow-dis"
STREAMED = "training.memory_budget=1"
SHARD = 200_000  # events


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """What is read, and how long a recipe is trained on it."""

    events: Number = 20_000_000
    steps: int = 300


@dataclass(frozen=True)
class Reading:
    """What a worker is told: what it reads, and the folder for what it found."""

    dataset: str
    parts: list[list[ShardEntry]]
    feature_map: dict[str, torch.Tensor]
    found: str
    moves: int = 0  # of which the batches are compared
    killed: bool = False  # in the middle of them


def measure(options: Asked, results: Results) -> None:
    """Measure places and numbers of workers in turn, then trainings."""
    # As bare PyArrow in a process of its own.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own spelling
    shard = options.few(SHARD, 2000)
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as folder,
        s3_server() as server,
        mock.patch.dict(os.environ, server.environment),
    ):
        dataset = prepared_dataset(
            Path(folder, "data"), shard, train_shards=max(2, options.few(options.events) // shard)
        )
        places = {"disk": dataset.uri, "S3": f"s3://{BUCKET}/data"}
        for file in Path(dataset.uri).rglob("*.*"):
            write_bytes(f"{places['S3']}/{file.relative_to(dataset.uri)}", file.read_bytes())
        for workers in options.some((1, 2)):
            with ray_session(workers):
                # A Ray that runs already, as that of the tests, knows nothing of the server.
                for name in options.some(tuple(places)):
                    labels = {"from": name, "workers": workers, "events": dataset.rows("train")}
                    for number in options.turns:
                        figures = read(places[name], workers, folder)
                        results.add(labels, figures, round=number)
                    same = resumed(places[name], workers, folder, options.few(200, 4))
                    results.add({**labels, "killed": "once"}, {"batches are the same": same})
        for number in options.turns:
            results.add({"training": RECIPE}, trained(options, dataset, folder), round=number)


def trained(options: Asked, dataset: Dataset, folder: str) -> dict[str, float]:
    """Return steps a second from memory and from the stream, and the share of steps lost."""
    steps = options.few(options.steps, 6)
    own = (f"training.steps={steps}", f"selection.every={steps // 3}", "training.threads=1")
    rates = {}
    for name, values in (("memory", ()), ("stream", (STREAMED,))):
        run = RunConfig.load(RECIPE, (*own, *values))
        with ray_session(1):
            label = f"{name}-{time.monotonic_ns()}"
            rates[name] = ray_steps_per_second(run, dataset, folder, label)
    lost = 1 - rates["stream"] / rates["memory"]
    return {f"steps/s from {name}": rate for name, rate in rates.items()} | {"lost steps": lost}


def read(place: str, workers: int, folder: str) -> dict[str, float]:
    """Return events/s of all workers together, and the memory that they and Ray took."""
    used = [0]

    def note() -> None:
        address = ray.get_runtime_context().gcs_address
        state = internal_api.get_state_from_address(address)  # type: ignore[no-untyped-call]
        reply = internal_api.get_memory_info_reply(state)  # type: ignore[no-untyped-call]
        used.append(reply.store_stats.object_store_bytes_used)

    with meanwhile(note):
        found = work_on(place, workers, folder)
    figures = {name: sum(one[name] for one in found) for name in found[0] if "/s" in name}
    return figures | {
        "Ray Data over PyArrow, events": figures["events/s, Ray Data"]
        / figures["events/s, PyArrow"],
        "the same, features": figures["features/s, Ray Data"] / figures["features/s, PyArrow"],
        "peak of a worker, GB": max(one["peak"] for one in found) / 1e9,
        "peak of the object store, GB": max(used) / 1e9,
    }


def resumed(place: str, workers: int, folder: str, moves: int) -> bool:
    """Tell whether workers that are killed after half the moves go on with the same batches."""
    whole, again = (
        work_on(place, workers, folder, moves=moves, killed=killed) for killed in (False, True)
    )
    return all(a["digest"] == b["digest"] for a, b in zip(whole, again, strict=True))


def work_on(place: str, workers: int, folder: str, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - fields of `Reading`
    """Return what each worker found."""
    dataset, run = Dataset.open(place), RunConfig.load(RECIPE)
    shards = mixed_shards(dataset, run.training.seed)
    parts = [shards[rank::workers] for rank in range(workers)]
    feature_map, _ = fitted_map(run, dataset)
    with tempfile.TemporaryDirectory(dir=folder) as found:
        reading = Reading(place, parts, dict(feature_map.state_dict()), found, **asked)
        config = ray.train.RunConfig(
            name="reading",
            storage_path=f"{found}/runs",
            failure_config=ray.train.FailureConfig(max_failures=1),
        )
        reading_trainer(work, reading, dataset, parts, config, threads=1).fit()
        return [json.loads(Path(found, f"{rank}.json").read_text()) for rank in range(workers)]


def work(config: dict[str, Reading]) -> None:
    """Read in a worker, and note what was found."""
    task = config["task"]
    torch.set_num_threads(1)
    rank = ray.train.get_context().get_world_rank()
    dataset = Dataset.open(task.dataset)
    rows = dataset.rows_of(task.parts[rank])
    streamed, kept = RunConfig.load(RECIPE, (STREAMED,)), RunConfig.load(RECIPE)
    feature_map = streamed.features.build(dataset.schema, dataset.manifest.conditions)
    feature_map.load_state_dict(task.feature_map)
    by_ray = partial(own_events, dataset, streamed.training.chunk, rank)
    by_pyarrow = partial(own_events_bare, dataset, streamed, task.parts[rank])

    def share(run: RunConfig, events: Callable[[], Iterator[Events]]) -> Minibatches:
        minibatches, _ = open_share(events, rows, run, feature_map, rank, torch.device("cpu"))
        return minibatches

    if task.moves:
        found: dict[str, Any] = {"digest": digest(share(streamed, by_ray), task, rank)}
    else:
        # The first share has Ray start what reads for it.
        minibatches = share(streamed, by_ray)
        found = {
            "events/s, Ray Data": rate(by_ray(), rows),
            "features/s, Ray Data": rate(minibatches(0), rows),
            "peak": peak(),
            "events/s, PyArrow": rate(by_pyarrow(), rows),
            "features/s, PyArrow": rate(share(streamed, by_pyarrow)(0), rows),
            "features/s, memory": rate(share(kept, by_ray)(0), rows),
        }
    Path(task.found, f"{rank}.json").write_text(json.dumps(found))


def own_events_bare(dataset: Dataset, run: RunConfig, shards: list[ShardEntry]) -> Iterator[Events]:
    """Yield the events of some shards, in chunks of at most the same size, without Ray."""
    manifest = dataset.manifest
    system, path = FileSystem.from_uri(dataset.uri)
    files = [f"{path}/{shard.file}" for shard in shards]
    source = pyarrow.dataset.dataset(files, filesystem=system, format="parquet")
    size = run.training.chunk.of(bytes_of(manifest.stored))
    for batch in source.to_batches(batch_size=size):
        table = pyarrow.Table.from_batches([batch])
        yield to_events(
            to_columns(table, manifest.stored, dataset.uri), manifest.schema_, manifest.conditions
        )


def digest(minibatches: Minibatches, task: Reading, rank: int) -> str:
    """Return the SHA-256 of the second half of the batches; half-way the worker is killed once."""
    half, mark = task.moves // 2, Path(task.found, f"killed-{rank}")
    if task.killed and not mark.exists():
        sum(1 for _ in islice(minibatches(0), half))
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    made = hashlib.sha256()
    start = half if task.killed else 0
    for number, batch in enumerate(islice(minibatches(start), task.moves - start), start):
        if number >= half:
            made.update(batch.x.numpy().tobytes())
    return made.hexdigest()


def rate(parts: Iterator[Sized], rows: int) -> float:
    """Return events/s until so many have come."""
    started, read = time.perf_counter(), 0
    while read < rows:
        read += len(next(parts))
    return read / (time.perf_counter() - started)


def peak() -> int:
    """Return the largest memory of this process so far, in bytes; Linux tells it."""
    [line] = [
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    ]
    return 1024 * int(line.split()[1])
