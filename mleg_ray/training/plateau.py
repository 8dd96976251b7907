"""The learning rate of a player, by how its training loss falls."""

import math
from typing import Any

import torch
from torch import Tensor

from mleg_ray.optimisers import LossPlateau
from mleg_ray.training.parallel import mean_of_workers


class FallingRate:
    """Watches the losses of a player; `factor` is what its learning rate is multiplied by."""

    def __init__(self, config: LossPlateau) -> None:
        self.factor = 1.0
        self._config = config
        self._least, self._since, self._steps = math.inf, 0, 0
        self._total = torch.zeros(())

    def watch(self, loss: Tensor) -> None:
        """Take the loss of a step; the device is waited for at the end of a round only."""
        self._total = self._total.to(loss.device) + loss
        self._steps += 1
        if self._steps < self._config.every:
            return
        total = float(mean_of_workers(self._total))  # of as many steps in each round
        self._total, self._steps = torch.zeros_like(self._total), 0
        self._since = 0 if total < self._least else self._since + 1
        self._least = min(total, self._least)
        if self._since == self._config.patience:
            self.factor *= self._config.factor
            self._since = 0

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs."""
        own = {name: value for name, value in vars(self).items() if name != "_config"}
        return own | {"_total": float(self._total)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        vars(self).update(state | {"_total": torch.tensor(state["_total"])})
