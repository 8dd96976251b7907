"""What runs inside each Ray Train worker: its share of the events, the loop, the reports."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray.train
import ray.train.torch
import torch
from torch import Tensor

from mleg_ray.catalog.codec import bytes_of, to_columns, to_events
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.board import Board
from mleg_ray.config import parse
from mleg_ray.events import Events
from mleg_ray.memory import AtOnce
from mleg_ray.run import RunConfig
from mleg_ray.training.parallel import rank_and_size
from mleg_ray.training.share import open_share
from mleg_ray.training.trainee import Trainee


@dataclass(frozen=True)
class Task:
    """What every worker is told: small, and all of it plain values and tensors."""

    run: dict[str, Any]
    dataset_uri: str
    feature_map: dict[str, Tensor]
    rows: list[int]
    condition_range: dict[str, tuple[float, float]]
    threads: int
    environment: dict[str, str]
    board: Board


def own_events(dataset: Dataset, chunk: AtOnce, rank: int) -> Iterator[Events]:
    """Yield the events of a worker's own train shards as Ray Data streams them, in chunks."""
    schema, manifest = dataset.schema, dataset.manifest
    stored = manifest.stored
    for table in ray.train.get_dataset_shard(f"train-{rank}").iter_batches(
        batch_size=chunk.of(bytes_of(stored)), batch_format="pyarrow", prefetch_batches=1
    ):
        columns = to_columns(table, stored, dataset.uri)
        yield dataset.chosen(to_events(columns, schema, manifest.conditions))


def work(config: dict[str, Task]) -> None:
    """Train on one worker, judging, reporting and saving every `selection.every` steps."""
    task = config["task"]
    torch.set_num_threads(task.threads)
    rank, _ = rank_and_size()
    device = ray.train.torch.get_device()
    run = parse(RunConfig, task.run, "run")
    dataset = Dataset.open(task.dataset_uri).selecting(run.where)
    feature_map = run.features.build(dataset.schema, dataset.manifest.conditions)
    feature_map.load_state_dict(task.feature_map)

    task.board.post(0, "learns of the teacher" if run.teacher else "reads its events")
    trainee = Trainee(
        run,
        dataset,
        feature_map,
        open_share(
            partial(own_events, dataset, run.training.chunk, rank),
            task.rows[rank],
            run,
            feature_map,
            rank,
            device,
        ),
        condition_range=task.condition_range,
        environment=task.environment,
        device=device,
    )
    if last := ray.train.get_checkpoint():
        with last.as_directory() as folder:
            trainee.resume(folder)
    note = f"continues from step {trainee.loop.step}" if trainee.loop.step else ""
    for moment in trainee.train():
        snapshot = moment.snapshot
        if snapshot is None:
            task.board.post(moment.step, note)
            continue
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if rank == 0:
                trainee.save(folder)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
                note = f"ks_sum {snapshot.ks_sum:.4f}, floor {trainee.selector.floor:.4f}"
                task.board.post(snapshot.step, note)
            ray.train.report(trainee.metrics(moment), checkpoint=checkpoint)
