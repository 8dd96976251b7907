"""What runs inside each Ray Train worker: its share of the events, the loop, the reports."""

import copy
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
from torch import Tensor

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Card, Checkpoint, DatasetCard
from mleg_ray.cluster.board import Board
from mleg_ray.config import parse
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.randomness import derive_seed
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import Minibatches, ResidentMinibatches, StreamedMinibatches
from mleg_ray.training.loop import TrainingLoop
from mleg_ray.training.parallel import rank_and_size
from mleg_ray.training.selection import SnapshotSelector

STATE, BEST = "training_state.pt", "best"
TICK = 50  # steps between two movements of the progress bar


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


def judge(run: RunConfig, dataset: Dataset) -> SnapshotSelector:
    """Return the selector that compares snapshots with the validation split."""
    return SnapshotSelector(
        dataset.load("validation", run.selection.events),
        dataset.schema,
        dataset.manifest.definitions,
        run.selection,
        run.training.seed,
    )


def work(config: dict[str, Task]) -> None:
    """Train on one worker, judging, reporting and saving every `selection.every` steps."""
    task = config["task"]
    torch.set_num_threads(task.threads)
    rank, _ = rank_and_size()
    device = ray.train.torch.get_device()
    run = parse(RunConfig, task.run, "run")
    dataset = Dataset.open(task.dataset_uri)
    feature_map = run.features.build(dataset.schema, dataset.manifest.conditions)
    feature_map.load_state_dict(task.feature_map)
    model = run.build_model(feature_map)
    minibatches, head = _Share(dataset, run, feature_map, task.rows[rank], device).open()
    model.remember(head.x.cpu(), feature_map.condition(head.context.cpu()))
    objective = run.objective.build()
    loop = TrainingLoop(model, feature_map, objective, run.training, device)
    teacher = Checkpoint.load(run.teacher, device) if run.teacher else None
    if teacher:
        objective.learn_from(teacher, feature_map, task.condition_range, run.training.seed)
    selector = judge(run, dataset)
    _resume(loop, selector, device)
    described = DatasetCard.of(dataset)
    before = selector.history[-1].seconds if selector.history else 0.0
    started = time.monotonic()
    note = f"continues from step {loop.step}" if loop.step else ""
    task.board.post(loop.step, note)
    for progress in loop.run(minibatches, math.gcd(run.selection.every, TICK)):
        judged = progress.step % run.selection.every == 0 or progress.step == run.training.steps
        if progress.finite and not judged:
            task.board.post(progress.step, note)
            continue
        snapshot = selector.consider(progress, loop, before + time.monotonic() - started)
        metrics = {
            "step": snapshot.step,
            "ks_sum": snapshot.ks_sum,
            "finite": snapshot.finite,
            "best_step": selector.best.step if selector.best else None,
        }
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if rank == 0:
                digest = teacher.digest if teacher else ""
                _write(Path(folder), task, run, described, loop, selector, digest)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
                note = f"ks_sum {snapshot.ks_sum:.4f}"
                task.board.post(snapshot.step, note)
            ray.train.report(metrics, checkpoint=checkpoint)
        if not snapshot.finite:
            return


class _Share:
    """One worker's part of the train split, as features on its device."""

    def __init__(
        self,
        dataset: Dataset,
        run: RunConfig,
        feature_map: FeatureMap,
        rows: int,
        device: torch.device,
    ) -> None:
        self._dataset = dataset
        self._config = run.training
        self._feature_map = copy.deepcopy(feature_map)  # the loop moves its own to the device
        self._rows = rows
        self._device = device
        rank, _ = rank_and_size()
        self._iterator = ray.train.get_dataset_shard(f"train-{rank}")
        self._seed = derive_seed(run.training.seed, "share", rank)

    def open(self) -> tuple[Minibatches, Batch]:
        """Return the minibatches and the share's head (all of it if it is kept in memory).

        The share stays on the device if it fits `memory_budget`, else it is streamed every epoch.
        """
        chunks = self._read()
        head = next(chunks)
        if self._rows * head.nbytes / len(head) > self._config.memory_budget:
            streamed = StreamedMinibatches(
                self._read, self._rows, self._config.batch_size, self._seed
            )
            return streamed, head
        events = Batch.concatenate([head, *chunks])
        return ResidentMinibatches(events, self._config.batch_size, self._seed), events

    def _read(self) -> Iterator[Batch]:
        for columns in self._iterator.iter_batches(
            batch_size=self._config.chunk_events, batch_format="numpy", prefetch_batches=1
        ):
            tensors = {name: torch.tensor(values) for name, values in columns.items()}
            yield self._encoded(
                Batch.from_columns(self._dataset.schema, tensors, self._dataset.manifest.conditions)
            )

    def _encoded(self, batch: Batch) -> Batch:
        features = self._feature_map(batch.x, batch.context)
        weight = batch.weight / self._feature_map.weight_mean
        encoded = Batch(features, batch.context, weight)
        return encoded.to(dtype=torch.float32).to(self._device)


def _resume(loop: TrainingLoop, selector: SnapshotSelector, device: torch.device) -> None:
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return
    with checkpoint.as_directory() as folder:
        state = torch.load(Path(folder) / STATE, map_location=device, weights_only=True)
    loop.load_state_dict(state["loop"])
    selector.load_state_dict(state["selector"])


def _write(
    folder: Path,
    task: Task,
    run: RunConfig,
    described: DatasetCard,
    loop: TrainingLoop,
    selector: SnapshotSelector,
    teacher_digest: str,
) -> None:
    """Write what resuming needs and, beside it, the best snapshot as a checkpoint of its own."""
    state = {"loop": loop.state_dict(), "selector": selector.state_dict()}
    torch.save(state, folder / STATE)
    best = selector.best
    if best is None:
        return
    model = copy.deepcopy(loop.ema)
    model.load_state_dict(selector.best_weights)
    card = Card(
        dataset=described,
        train_events=sum(task.rows),
        condition_range=task.condition_range,
        outside_fraction=float(loop.feature_map.outside_fraction),
        step=best.step,
        metrics={"ks_sum": best.ks_sum} | {f"ks.{name}": ks for name, ks in best.ks.items()},
        history=tuple(snapshot.flat() for snapshot in selector.history),
        seconds=selector.history[-1].seconds,
        environment=task.environment,
        teacher_digest=teacher_digest,
    )
    Checkpoint(run, card, loop.feature_map, model).save(str(folder / BEST))
