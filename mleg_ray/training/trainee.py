"""One worker's training from its data to its checkpoints: alone, in a trial or under Ray Train."""

import copy
import io
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import CHECKPOINT, Card, Checkpoint, DatasetCard
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.objectives import Setting
from mleg_ray.run import RunConfig
from mleg_ray.storage import exists, join, read_bytes, write_bytes
from mleg_ray.training.batches import Minibatches
from mleg_ray.training.loop import TrainingLoop
from mleg_ray.training.parallel import any_worker
from mleg_ray.training.selection import Snapshot, SnapshotSelector, on_plateau
from mleg_ray.training.share import Ranges, by_weight, fitted_map, mixed_shards, open_share

STATE = "training_state.pt"
TICK = 50  # steps between two signs of life


@dataclass(frozen=True)
class Moment:
    """Where a training stands; `snapshot` if it was judged, `ended` tells why it was the last.

    `ended` is `steps`, `plateau`, `time` or `diverged`, and empty as long as training goes on.
    """

    step: int
    snapshot: Snapshot | None = None
    ended: str = ""


class Trainee:
    """A model in training, the judge of its snapshots, and what its checkpoint tells."""

    def __init__(
        self,
        run: RunConfig,
        dataset: Dataset,
        feature_map: FeatureMap,
        share: tuple[Minibatches, Batch],
        *,
        condition_range: Ranges,
        environment: Mapping[str, str],
        device: torch.device,
    ) -> None:
        self._run = run
        self._dataset = dataset
        self._condition_range = condition_range
        self._environment = dict(environment)
        self._device = device
        model = run.build_model(feature_map)
        self._minibatches, head = share
        if model.remembers:
            rows = by_weight(head.weight.cpu())
            x, condition = head.x.cpu()[rows], head.condition.cpu()[rows]
            model.remember(x, condition, feature_map.present(x))
        self._teacher = Checkpoint.load(run.teacher, device) if run.teacher else None
        feature_map.to(device)
        objective = run.objective.bind(
            Setting(dataset.schema, feature_map, condition_range, run.training.seed, self._teacher)
        )
        self.loop = TrainingLoop(model, feature_map, objective, run.training, device)
        self.selector = SnapshotSelector(run, dataset)

    @staticmethod
    def alone(
        run: RunConfig, dataset: Dataset, environment: Mapping[str, str], device: torch.device
    ) -> "Trainee":
        """Return the trainee that has the whole train split to itself.

        It ends in the weights of `mleg train` with one worker.

        Raises:
            UserError: see `fitted_map` and `SnapshotSelector`.
        """
        dataset = dataset.selecting(run.where)
        feature_map, ranges = fitted_map(run, dataset)
        shards = mixed_shards(dataset, run.training.seed)
        rows = dataset.rows("train")
        share = open_share(lambda: dataset.read(shards), rows, run, feature_map, 0, device)
        return Trainee(
            run,
            dataset,
            feature_map,
            share,
            condition_range=ranges,
            environment=environment,
            device=device,
        )

    def train(self) -> Iterator[Moment]:
        """Train from where the trainee stands to the end, judging every `selection.every` steps.

        The last moment has `ended`; a training that had ended already yields it again.
        """
        last = self.selector.history[-1] if self.selector.history else None
        if last and (ended := self._ended(last)):
            yield Moment(last.step, last, ended)
            return
        before, started = last.seconds if last else 0.0, time.monotonic()
        every, steps = self._run.selection.every, self._run.training.steps
        yield Moment(self.loop.step)
        for progress in self.loop.run(self._minibatches, math.gcd(every, TICK)):
            if progress.step % every and progress.step < steps and progress.finite:
                yield Moment(progress.step)
                continue
            seconds = before + time.monotonic() - started
            snapshot = self.selector.consider(progress, self.loop, seconds)
            ended = self._ended(snapshot)
            yield Moment(snapshot.step, snapshot, ended)
            if ended:
                return

    def _ended(self, last: Snapshot) -> str:
        """Return why nothing comes after the snapshot, the same on every worker."""
        training, plateau = self._run.training, self._run.selection.plateau
        if not last.finite:
            return "diverged"
        if last.step == training.steps:
            return "steps"
        if plateau and on_plateau(self.selector.scores, plateau):
            return "plateau"
        if training.seconds and any_worker(last.seconds >= training.seconds, self._device):
            return "time"
        return ""

    def metrics(self, moment: Moment) -> dict[str, Any]:
        """Return what is reported of a judged moment."""
        assert moment.snapshot is not None
        best = self.selector.best
        return {
            "step": moment.step,
            "ks_sum": moment.snapshot.ks_sum,
            "floor": self.selector.floor,
            "best": best.ks_sum if best else moment.snapshot.ks_sum,
            "best_step": best.step if best else None,
            "seconds": moment.snapshot.seconds,
            "ended": moment.ended,
        }

    def best(self) -> Checkpoint | None:
        """Return the best snapshot as a checkpoint, if one was finite."""
        snapshot = self.selector.best
        if snapshot is None:
            return None
        model = copy.deepcopy(self.loop.ema)
        model.load_state_dict(self.selector.kept[snapshot.step])
        card = Card(
            dataset=DatasetCard.of(self._dataset),
            train_events=self._dataset.rows("train"),
            condition_range=self._condition_range,
            outside_fraction=float(self.loop.feature_map.outside_fraction),
            step=snapshot.step,
            metrics=snapshot.distances,
            history=tuple(entry.flat() for entry in self.selector.history),
            seconds=self.selector.history[-1].seconds,
            environment=self._environment,
            teacher_digest=self._teacher.digest if self._teacher else "",
        )
        return Checkpoint(self._run, card, self.loop.feature_map, model, teacher=self._teacher)

    def save(self, folder: str) -> None:
        """Write what resuming needs and, beside it, the best snapshot as a checkpoint."""
        state = {"loop": self.loop.state_dict(), "selector": self.selector.state_dict()}
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes(join(folder, STATE), content.getvalue())
        if best := self.best():
            best.save(join(folder, CHECKPOINT))

    def resume(self, *folders: str) -> None:
        """Continue from what `save` wrote into the first of the folders that has anything."""
        for place in (join(folder, STATE) for folder in folders):
            if exists(place):
                content = io.BytesIO(read_bytes(place))
                state = torch.load(content, map_location=self._device, weights_only=True)
                self.loop.load_state_dict(state["loop"])
                self.selector.load_state_dict(state["selector"])
                return


def other_snapshots(folder: str, best: Checkpoint) -> Iterator[Checkpoint]:
    """Yield the snapshots, but the best, whose weights are in what `Trainee.save` wrote.

    Each is a checkpoint whose card tells the distances that it had.
    """
    content = io.BytesIO(read_bytes(join(folder, STATE)))
    state = torch.load(content, map_location=best.device, weights_only=True)
    judged = {int(moment["step"]): moment for moment in best.card.history}
    for step, weights in state["selector"]["kept"].items():
        if step == best.card.step:
            continue
        model = copy.deepcopy(best.model)
        model.load_state_dict(weights)
        metrics = {name: judged[step][name] for name in best.card.metrics}
        card = best.card.model_copy(update={"step": step, "metrics": metrics})
        yield Checkpoint(best.run, card, best.feature_map, model, teacher=best.teacher)
