"""Early stopping: trials that do badly end before the others."""

from typing import Annotated, Literal

import optuna
from pydantic import Field as Option
from pydantic import NonNegativeInt, PositiveInt

from mleg_ray.errors import ConfigError
from mleg_ray.study.jobs import Jobs
from mleg_ray.study.ledger import Ledger
from mleg_ray.study.plan import PRUNINGS, Plan, PruningConfig


class EarlyStopping(PruningConfig):
    """What the prunings share that stop trials: none before its step `first`."""

    first: NonNegativeInt = 0

    def jobs(self, plan: Plan, study: optuna.Study) -> Jobs:
        """Return the trainings of the search."""
        return Ledger(plan, study)

    def require_valid(self, plan: Plan, origin: str) -> None:
        """Raise `ConfigError` if no trial could be stopped."""
        steps = plan.run.training.steps
        if self.first > steps:
            raise ConfigError(
                f"{origin}: study.pruning.first: no trial reaches step {self.first}, they end with "
                f"step {steps} (run.training.steps)"
            )


@PRUNINGS.register
class ASHAPruning(EarlyStopping):
    """Asynchronous successive halving (Li et al., arXiv:1810.05934).

    Of the trials that reach the rung at `first` steps, and at `factor`, `factor`², ... times as
    many, only the best 1/`factor` go on.
    """

    kind: Literal["asha"] = "asha"
    first: PositiveInt
    factor: Annotated[int, Option(ge=2)] = 3

    def build(self) -> optuna.pruners.BasePruner:
        """Build the pruner."""
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=self.first, reduction_factor=self.factor
        )


@PRUNINGS.register
class PercentilePruning(EarlyStopping):
    """Stops what is not among the best `percentile` % of the finished trials at the same step.

    Not before `startup` trials have finished, nor before a trial's step `first`.
    """

    kind: Literal["percentile"] = "percentile"
    percentile: Annotated[float, Option(gt=0, lt=100)] = 25.0
    startup: NonNegativeInt = 5

    def build(self) -> optuna.pruners.BasePruner:
        """Build the pruner."""
        return optuna.pruners.PercentilePruner(
            self.percentile, n_startup_trials=self.startup, n_warmup_steps=self.first
        )


@PRUNINGS.register
class MedianPruning(EarlyStopping):
    """Stops what is worse than the median of the finished trials at the same step."""

    kind: Literal["median"] = "median"
    startup: NonNegativeInt = 5

    def build(self) -> optuna.pruners.BasePruner:
        """Build the pruner."""
        return optuna.pruners.MedianPruner(n_startup_trials=self.startup, n_warmup_steps=self.first)
