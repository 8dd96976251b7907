"""What becomes of trials that do badly: they end early, or go on from weights of a better one."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field as Option
from pydantic import NonNegativeInt, PositiveInt

from mleg_ray.errors import ConfigError
from mleg_ray.randomness import derive_seed
from mleg_ray.study.ledger import Ledger, trial_name
from mleg_ray.study.plan import PRUNINGS, Job, Jobs, Plan, PruningConfig

FACTOR = 1.2  # by which a number of a population's member changes, up or down
REDRAW = 0.25  # probability that a value is drawn anew instead


def searched(plan: Plan, study: optuna.Study) -> Jobs:
    """Return the trainings of a plan's search."""
    pruning = plan.study.pruning
    return pruning.jobs(plan, study) if pruning else Ledger(plan, study)


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


class Population(Ledger):
    """`study.trials` members, whose way is recorded as a chain of trials of `pruning.every` steps.

    M. Jaderberg et al., arXiv:1711.09846. At the end of a stretch a member among the worst
    `pruning.share`, by the `ks_sum` it stands at, goes on from the state of one of the best that
    came as far, with that one's parameters, each changed by `FACTOR` or drawn anew; the others go
    on as they are. No member waits for another. What is proposed depends on the study's seed and
    on the results alone; a trial's attributes name its `member` and its `parent`.
    """

    keeps_states = True

    def __init__(self, plan: Plan, study: optuna.Study, pruning: "PopulationPruning") -> None:
        super().__init__(plan, study)
        self._pruning = pruning

    def __len__(self) -> int:
        return self._plan.study.trials * math.ceil(
            self._plan.run.training.steps / self._pruning.every
        )

    def observe(self, job: Job, result: Mapping[str, Any]) -> bool:
        """Record a judged snapshot; tell whether the stretch is over."""
        super().observe(job, result)
        until = self._running[job.name].user_attrs.get("until", self._pruning.every)
        return not result["ended"] and bool(result["step"] >= until)

    def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        """Record the stretch as COMPLETE, with the best `ks_sum` of the way so far."""
        trial = self._running[job.name]
        diverged = result["ended"] == "diverged"
        trial.set_user_attr("stands_at", math.inf if diverged else result["ks_sum"])
        trial.set_user_attr("way_seconds", result["seconds"])
        own = result["seconds"] - trial.user_attrs.get("seconds_before", 0.0)
        ended = result["ended"] or "stretch"
        super().finish(job, {**result, "ended": ended, "seconds": own})

    def _propose(self) -> optuna.Trial | None:
        """Return the first stretch of a new member until there are enough, then another's next."""
        trials = self.study.get_trials(deepcopy=False)
        # Enqueued for a member, but not asked for before the study was killed.
        if any(t.state == TrialState.WAITING and "parent" in t.user_attrs for t in trials):
            return self.study.ask()
        latest = {_member(t): t for t in trials if t.state != TrialState.WAITING}
        if len(latest) < self._plan.study.trials:
            return self.study.ask()
        complete = {_member(t): t for t in trials if t.state == TrialState.COMPLETE}
        judged = sorted(complete.values(), key=lambda t: (t.user_attrs["stands_at"], t.number))
        waiting = [t for t in judged if t is latest[_member(t)]]
        for trial in sorted(waiting, key=lambda t: (t.user_attrs["step"], t.number)):
            rng = random.Random(derive_seed(self._plan.study.seed, "population", len(trials)))
            if parent := self._parent(trial, judged, rng):
                return self._next(trial, parent, rng)
        return None

    def _parent(
        self, trial: FrozenTrial, judged: Sequence[FrozenTrial], rng: random.Random
    ) -> FrozenTrial | None:
        """Return from whose state a member goes on; None if its way is at its end."""
        ended = trial.user_attrs["ended"]
        if ended not in ("stretch", "diverged"):
            return None
        few = int(self._pruning.share * len(judged))
        if few and trial in judged[-few:]:
            ahead = [
                t
                for t in judged[:few]
                if t.user_attrs["step"] >= trial.user_attrs["step"]
                and math.isfinite(t.user_attrs["stands_at"])
                and t.user_attrs["ended"] == "stretch"
            ]
            if ahead:
                return rng.choice(ahead)
        return trial if ended == "stretch" else None

    def _next(self, trial: FrozenTrial, parent: FrozenTrial, rng: random.Random) -> optuna.Trial:
        self.study.enqueue_trial(
            trial.params if parent is trial else self._changed(parent, rng),
            user_attrs={
                "member": _member(trial),
                "parent": trial_name(parent.number),
                "until": parent.user_attrs["step"] + self._pruning.every,
                "seconds_before": parent.user_attrs["way_seconds"],
            },
        )
        return self.study.ask()

    def _changed(self, parent: FrozenTrial, rng: random.Random) -> dict[str, Any]:
        drawn = optuna.samplers.RandomSampler(seed=rng.getrandbits(32))
        params = dict(parent.params)
        for name, distribution in parent.distributions.items():
            if rng.random() < REDRAW:
                params[name] = drawn.sample_independent(self.study, parent, name, distribution)
            elif not isinstance(distribution, CategoricalDistribution):
                value = params[name] * rng.choice((FACTOR, 1 / FACTOR))
                whole = type(params[name])(value)
                params[name] = min(max(whole, distribution.low), distribution.high)  # type: ignore[attr-defined]
        return params


@PRUNINGS.register
class PopulationPruning(PruningConfig):
    """Configuration of a `Population`.

    Every `every` steps the worst `share` of the trials goes on from the weights of the best.
    """

    kind: Literal["pbt"] = "pbt"
    every: PositiveInt
    share: Annotated[float, Option(gt=0, le=0.5)] = 0.25

    def jobs(self, plan: Plan, study: optuna.Study) -> Population:
        """Return the trainings of the search."""
        return Population(plan, study, self)

    def require_valid(self, plan: Plan, origin: str) -> None:
        """Raise `ConfigError` if trainings cannot go on from each other."""
        training, every = plan.run.training, plan.run.selection.every
        if self.every % every or self.every >= training.steps:
            raise ConfigError(
                f"{origin}: study.pruning.every: must be a multiple of selection.every, {every}, "
                f"below training.steps, {training.steps} (got {self.every})"
            )
        free = ("objective.", "training.optimisers.", "training.batch_size", "training.ema_decay")
        fixed = [key for key in plan.space if not key.startswith(free)]
        if fixed:
            raise ConfigError(
                f"{origin}: space: '{fixed[0]}' cannot change while a model is trained; with "
                "study.pruning.kind = 'pbt' search objective.*, training.optimisers.*, "
                "training.batch_size and training.ema_decay alone"
            )
        study = plan.study
        if study.repeats or study.workers > 1:
            raise ConfigError(
                f"{origin}: study.pruning.kind 'pbt' changes values on the way, so there is no "
                "point to repeat, and trains on one worker; leave study.repeats and study.workers "
                "out"
            )
        if int(self.share * study.trials) < 1:
            raise ConfigError(
                f"{origin}: study.trials: a share of {self.share:g} of {study.trials} trials is "
                "none; have more trials, or a larger study.pruning.share"
            )


def _member(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get("member", trial.number))
