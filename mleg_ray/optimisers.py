"""Optimisers of players, by `kind`, and how their learning rates fall."""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field as Option
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from mleg_ray.config import Config, Registry

Fraction = Annotated[float, Option(ge=0, lt=1)]


class LossPlateau(Config):
    """When the training loss no longer falls, the learning rate does.

    Losses are averaged over rounds of `every` steps, an epoch say. After `patience` rounds in a row
    of which none is below the least before them, the rate is multiplied by `factor`, and they are
    counted again.
    """

    every: PositiveInt
    factor: Annotated[float, Option(gt=0, lt=1)]
    patience: PositiveInt


class OptimiserConfig(Config):
    """Base of the `[run.training.optimisers.PLAYER]` tables.

    The `cosine` schedule falls from `learning_rate` to zero at the last step. What that says is
    multiplied by a factor that falls at each `plateau` of the loss.
    """

    kind: str
    learning_rate: PositiveFloat
    schedule: Literal["constant", "cosine"] = "constant"
    plateau: LossPlateau | None = None

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the optimiser of these parameters."""

    @property
    @abstractmethod
    def constants(self) -> dict[str, Any]:
        """What else it is told, by PyTorch's names."""

    def set(
        self, optimiser: torch.optim.Optimizer, step: int, steps: int, factor: float = 1.0
    ) -> None:
        """Set rate and constants of a step, whatever a state that was loaded has of another run.

        The rate is `factor` times the schedule's.
        """
        rate = factor * self.learning_rate
        if self.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.param_groups[0].update(lr=rate, **self.constants)


OPTIMISERS: Registry[OptimiserConfig] = Registry("optimiser", default="adam")


@OPTIMISERS.register
class Adam(OptimiserConfig):
    """Adam (Kingma & Ba, arXiv:1412.6980) with its `betas`."""

    kind: Literal["adam"] = "adam"
    betas: tuple[Fraction, Fraction]

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build Adam."""
        return torch.optim.Adam(parameters, fused=True)

    @property
    def constants(self) -> dict[str, Any]:
        """The betas."""
        return {"betas": self.betas}


@OPTIMISERS.register
class AdamW(OptimiserConfig):
    """Adam with `weight_decay` beside it (Loshchilov & Hutter, arXiv:1711.05101, algorithm 2).

    At each step weights lose the share learning rate times `weight_decay`.
    """

    kind: Literal["adamw"] = "adamw"
    betas: tuple[Fraction, Fraction]
    weight_decay: PositiveFloat

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build AdamW."""
        return torch.optim.AdamW(parameters, fused=True)

    @property
    def constants(self) -> dict[str, Any]:
        """The betas, and the decay."""
        return {"betas": self.betas, "weight_decay": self.weight_decay}


@OPTIMISERS.register
class Adadelta(OptimiserConfig):
    """Adadelta (Zeiler, arXiv:1212.5701) with the decay `rho` of its averages, and `epsilon`.

    Libraries differ in what they take by default: so all of it is to be given.
    """

    kind: Literal["adadelta"] = "adadelta"
    rho: Fraction
    epsilon: PositiveFloat

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build Adadelta."""
        return torch.optim.Adadelta(parameters, foreach=True)

    @property
    def constants(self) -> dict[str, Any]:
        """ρ and ε."""
        return {"rho": self.rho, "eps": self.epsilon}


@OPTIMISERS.register
class RMSProp(OptimiserConfig):
    """RMSProp (Tieleman & Hinton, 2012): x -= learning_rate · g / (√E[g²] + `epsilon`).

    `rho` is the decay of the average of g². Libraries differ in what they take by default.
    """

    kind: Literal["rmsprop"] = "rmsprop"
    rho: Fraction
    epsilon: PositiveFloat

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Build RMSProp."""
        return torch.optim.RMSprop(parameters, foreach=True)

    @property
    def constants(self) -> dict[str, Any]:
        """ρ, PyTorch's α, and ε."""
        return {"alpha": self.rho, "eps": self.epsilon}
