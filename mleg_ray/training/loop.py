"""The training loop: one for every family of models, on any number of workers."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mleg_ray.events import Batch, Events
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model, generate
from mleg_ray.objectives import Loss, Objective
from mleg_ray.randomness import Noise, derive_seed
from mleg_ray.run import TrainingConfig
from mleg_ray.training.batches import Minibatches
from mleg_ray.training.parallel import average_gradients, rank_and_size
from mleg_ray.training.plateau import FallingRate


@dataclass(frozen=True)
class Progress:
    """Where training stands: steps done, the last step's losses, and whether all is finite."""

    step: int
    losses: dict[str, float]
    finite: bool


class TrainingLoop:
    """Moves the players of a model by their objective, and keeps an average of the weights.

    All randomness of a step derives from (seed, step), so nothing but weights, optimiser moments
    and the step itself is needed to resume exactly. `ema` is the exponential moving average of the
    model with its buffers, the one that is judged and kept; its decay warms up as
    (1 + step) / (10 + step).
    """

    def __init__(
        self,
        model: Model,
        feature_map: FeatureMap,
        objective: Objective,
        config: TrainingConfig,
        device: torch.device,
    ) -> None:
        self.model = model.to(device)
        self.ema = copy.deepcopy(self.model).requires_grad_(False).eval()
        # Listed once: to walk through all modules costs as much as the average itself.
        self._averages: list[Tensor] = list(self.ema.parameters())
        self._weights: list[Tensor] = list(self.model.parameters())
        self.feature_map = feature_map.to(device)
        self.step = 0
        self._objective = objective
        self._schedule = objective.traits.schedule
        self._config = config
        self._noise = Noise(device, *rank_and_size())
        self._players = dict(model.players())
        self._optimisers = {
            name: config.optimisers[name].build(player.parameters())
            for name, player in self._players.items()
        }
        self._rates = {
            name: FallingRate(optimiser.plateau)
            for name, optimiser in config.optimisers.items()
            if optimiser.plateau
        }

    def run(self, minibatches: Minibatches, report_every: int) -> Iterator[Progress]:
        """Train to the last step, yielding every `report_every` steps and at the end.

        Losses and weights are examined only at a yield, so that the device is never waited for in
        between. After a yield with `finite` false nothing more can come of the run.
        """
        batches = minibatches(self.step * sum(self._schedule.values()))
        while self.step < self._config.steps:
            losses = self._advance(batches)
            self.step += 1
            if self.step % report_every == 0 or self.step == self._config.steps:
                yield self._progress(losses)

    def _advance(self, batches: Iterator[Batch]) -> dict[str, Tensor]:
        self._seed_noise()
        # Dropout draws from the device's default generator, differently on every worker.
        torch.manual_seed(derive_seed(self._config.seed, "dropout", self.step, rank_and_size()[0]))
        losses: dict[str, Tensor] = {}
        for name, times in self._schedule.items():
            self._freeze_all_but(name)
            optimiser = self._optimisers[name]
            rate = self._rates.get(name)
            factor = rate.factor if rate else 1.0
            self._config.optimisers[name].set(optimiser, self.step, self._config.steps, factor)
            for _ in range(times):
                optimiser.zero_grad(set_to_none=True)
                loss, parts, _ = self._loss(name, next(batches))
                torch.autograd.backward(loss)
                average_gradients(self._players[name].parameters())
                optimiser.step()
                self._objective.constrain(name, self._players[name])
            if rate:
                rate.watch(loss.detach())
            losses |= {f"{name}_loss": loss.detach()} | {k: v.detach() for k, v in parts.items()}
        self._average_weights()
        return losses

    def _seed_noise(self) -> None:
        self._noise.seed(derive_seed(self._config.seed, "noise", self.step))

    def _loss(self, player: str, batch: Batch) -> Loss:
        return self._objective.loss(player, self.model, self.feature_map, batch, noise=self._noise)

    def _freeze_all_but(self, player: str) -> None:
        if len(self._players) > 1:
            for name, module in self._players.items():
                module.requires_grad_(name == player)

    def _average_weights(self) -> None:
        decay = min(self._config.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
            for average, value in zip(self.ema.buffers(), self.model.buffers(), strict=True):
                if average.is_floating_point():
                    average.lerp_(value, 1 - decay)
                else:  # counts and masks
                    average.copy_(value)

    def _progress(self, losses: dict[str, Tensor]) -> Progress:
        values = {name: float(value) for name, value in losses.items()}
        finite = all(map(math.isfinite, values.values())) and all(
            bool(parameter.isfinite().all()) for parameter in self.model.parameters()
        )
        return Progress(self.step, values, finite)

    def observed(self, given: Events, *, generator: torch.Generator) -> Events:
        """Generate by the averaged weights what is compared with data, see `Objective.observed`.

        `given` are events that have the conditions, on the loop's device, as the generator.
        """
        events = generate(self.ema, self.feature_map, given, generator=generator)
        return self._objective.observed(events, generator=generator)

    def loss(self, batch: Batch) -> float:
        """Return the loss of the averaged model, of one player, on events that it never learned.

        They are taken a minibatch at a time, with the same random numbers at every call.
        """
        [player] = self._players
        noise, size = Noise(batch.weight.device), self._config.batch_size
        noise.seed(derive_seed(self._config.seed, "loss"))
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(batch), size):
                part = batch[start : start + size]
                loss, *_ = self._objective.loss(
                    player, self.ema, self.feature_map, part, noise=noise
                )
                total += float(loss) * len(part)
        return total / len(batch)

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in self._optimisers.items()},
            "rates": {name: rate.state_dict() for name, rate in self._rates.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name, rate in self._rates.items():
            rate.load_state_dict(state["rates"][name])
