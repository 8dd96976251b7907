"""The plan of a study: a base run, the space around it, how it is searched and what counts.

Trainings to be done are `Jobs`: what runs them, and what proposes them, know each other by these.
"""

import contextlib
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import Field as Option
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, SerializeAsAny, model_validator

from mleg_ray.config import Config, Registry, override, parse
from mleg_ray.errors import ConfigError
from mleg_ray.run import TABLES, RunConfig, read_recipe
from mleg_ray.study.space import PARAMETERS, Parameter, Space, flatten

Measure = Literal["ks_sum", "c2st_auc", "throughput", "flops", "seconds"]
QUALITIES: tuple[Measure, ...] = ("ks_sum", "c2st_auc")  # of the best snapshot
DIRECTIONS: Mapping[str, Literal["minimize", "maximize"]] = {
    "ks_sum": "minimize",
    "c2st_auc": "minimize",  # of boosted trees on validation events; 0.5 at best
    "throughput": "maximize",  # generated events a second, measured on the trial's device
    "flops": "minimize",  # floating-point operations of one generated event
    "seconds": "minimize",  # of training
}


@dataclass(frozen=True)
class Job:
    """One training of a study: its name in the folder of trials, and its run.

    It begins with the state of the training named `parent`, if one is.
    """

    name: str
    run: RunConfig
    parent: str = ""


class Jobs(ABC):
    """Trainings to be done, in an order that may depend on the results of others.

    `len` is their largest number; `keeps_states` tells that others may begin from their states.
    What broke off, or was not begun when the time was over, is left to the study's next command.
    """

    keeps_states: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def ask(self) -> Job | None:
        """Return the next; None if there is none as long as nothing else is finished."""

    def observe(self, job: Job, result: Mapping[str, Any]) -> bool:
        """Take note of a judged snapshot; tell whether the training should be stopped: no."""
        return False

    @abstractmethod
    def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        """Take note of the last result; without `ended` the training was stopped."""

    def fail(self, job: Job) -> None:  # noqa: B027
        """Take note that the training broke off."""

    def close(self) -> None:  # noqa: B027
        """Take note that nothing runs any more: the time is over."""


@contextlib.contextmanager
def experimental() -> Iterator[None]:
    """Use what Optuna calls experimental without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


class SearchConfig(Config):
    """Base of the `[study.search]` tables: who proposes the next point."""

    kind: str

    @abstractmethod
    def build(self, seed: int) -> optuna.samplers.BaseSampler:
        """Build the sampler."""


SEARCHES: Registry[SearchConfig] = Registry("search")


@SEARCHES.register
class TPESearch(SearchConfig):
    """Tree-structured Parzen estimator of joint parameters (Bergstra et al., NeurIPS 2011).

    `startup` points are random; running trials count as bad ones, so that parallel trials differ.
    """

    kind: Literal["tpe"] = "tpe"
    startup: NonNegativeInt = 10

    def build(self, seed: int) -> optuna.samplers.BaseSampler:
        """Build the sampler."""
        with experimental():
            return optuna.samplers.TPESampler(
                n_startup_trials=self.startup,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=seed,
            )


@SEARCHES.register
class GPSearch(SearchConfig):
    """Gaussian process with expected improvement; conditional parameters are drawn at random."""

    kind: Literal["gp"] = "gp"
    startup: PositiveInt = 10

    def build(self, seed: int) -> optuna.samplers.BaseSampler:
        """Build the sampler."""
        return optuna.samplers.GPSampler(n_startup_trials=self.startup, seed=seed)


@SEARCHES.register
class CMAESSearch(SearchConfig):
    """Covariance-matrix adaptation; choices and conditional parameters are drawn at random."""

    kind: Literal["cma-es"] = "cma-es"
    startup: PositiveInt = 10

    def build(self, seed: int) -> optuna.samplers.BaseSampler:
        """Build the sampler; `ConfigError` if the library it needs is not installed."""
        try:
            import cmaes  # noqa: F401
        except ImportError:
            raise ConfigError(
                "study.search.kind 'cma-es' needs the library cmaes: pip install 'mleg-ray[study]'"
            ) from None
        return optuna.samplers.CmaEsSampler(n_startup_trials=self.startup, seed=seed)


@SEARCHES.register
class NSGA2Search(SearchConfig):
    """Genetic search for a front of several objectives (Deb et al., 2002)."""

    kind: Literal["nsga-ii"] = "nsga-ii"
    population: Annotated[int, Option(ge=2)] = 20

    def build(self, seed: int) -> optuna.samplers.BaseSampler:
        """Build the sampler."""
        return optuna.samplers.NSGAIISampler(population_size=self.population, seed=seed)


@SEARCHES.register
class RandomSearch(SearchConfig):
    """Independent random points."""

    kind: Literal["random"] = "random"

    def build(self, seed: int) -> optuna.samplers.BaseSampler:
        """Build the sampler."""
        return optuna.samplers.RandomSampler(seed=seed)


class PruningConfig(Config):
    """Base of the `[study.pruning]` tables: what becomes of trials whose `ks_sum` is bad."""

    kind: str

    def build(self) -> optuna.pruners.BasePruner:
        """Build the pruner: one that stops nothing, unless a kind has its own."""
        return optuna.pruners.NopPruner()

    @abstractmethod
    def jobs(self, plan: "Plan", study: optuna.Study) -> Jobs:
        """Return the trainings of the search."""

    @abstractmethod
    def require_valid(self, plan: "Plan", origin: str) -> None:
        """Raise `ConfigError` if the study's trainings cannot be pruned so."""


PRUNINGS: Registry[PruningConfig] = Registry("pruning")


class RepeatsConfig(Config):
    """After the search the `best` configurations are trained with `seeds` seeds each."""

    best: PositiveInt = 3
    seeds: Annotated[int, Option(ge=2)] = 3

    def other_seeds(self, seed: int) -> range:
        """Return the seeds of the repeats: not the search's own, `seed`."""
        return range(seed + 1, seed + 1 + self.seeds)


class StudyConfig(Config):
    """The `[study]` table of a recipe: how its `[space]` is searched.

    `trials` and `seconds` (wall time of the search) bound it. The first of the `objectives` is the
    quality by which trials are ranked, `ks_sum` or `c2st_auc`. A trial takes `cpus` threads and
    `gpus` (a fraction lets several share one), times `workers`; with more than one worker it trains
    on Ray Train. `points` are tried first. `storage` is the URL of a database for Optuna, such as
    postgresql://HOST/NAME, in place of the journal in the study's folder.
    """

    trials: PositiveInt
    seconds: PositiveFloat | None = None
    objectives: Annotated[tuple[Measure, ...], Option(min_length=1)] = ("ks_sum",)
    search: SerializeAsAny[Annotated[SearchConfig, SEARCHES.chosen()]] = TPESearch()
    pruning: SerializeAsAny[Annotated[PruningConfig, PRUNINGS.chosen()]] | None = None
    repeats: RepeatsConfig | None = None
    seed: int = 1
    cpus: PositiveInt = 1
    gpus: Annotated[float, Option(ge=0)] = 0.0
    workers: PositiveInt = 1
    storage: str | None = None
    points: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ConfigError("objectives must differ")
        if self.quality not in QUALITIES:
            raise ConfigError(
                f"objectives must begin with {' or '.join(QUALITIES)}: speed alone trains nothing"
            )
        if self.pruning and self.objectives != ("ks_sum",):
            raise ConfigError("pruning needs ks_sum as the only objective; leave it or others out")
        if self.storage and re.search(r"//[^/@]*:[^/@]*@", self.storage):
            raise ConfigError(
                "storage: leave the password out, the study's files would keep it; PostgreSQL "
                "takes it from PGPASSWORD or ~/.pgpass"
            )
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ConfigError("gpus: a fraction of one, or a whole number")
        return self

    @property
    def quality(self) -> Measure:
        """The objective by which trials are ranked."""
        return self.objectives[0]


class Plan(Config):
    """What a study's folder is begun for."""

    run: RunConfig
    space: dict[str, SerializeAsAny[Annotated[Parameter, PARAMETERS.chosen()]]]
    study: StudyConfig

    @staticmethod
    def load(recipe: str, assignments: tuple[str, ...] = ()) -> "Plan":
        """Read `[run]`, `[space]` and `[study]` of `tuning/RECIPE.toml` or a path, and check them.

        Assignments are those of `RunConfig.load`, or begin with `study.`.

        Raises:
            ConfigError: names the file, the key and the mend, also if the space, a point or a
                budget is impossible.
        """
        tables, origin = read_recipe(recipe, needed=TABLES)
        to_study = tuple(a for a in assignments if a.startswith("study."))
        to_run = tuple(a for a in assignments if a not in to_study)
        table = {
            "run": override(tables["run"], to_run),
            "space": flatten(tables["space"]),
            "study": override(tables, to_study)["study"],
        }
        plan = parse(Plan, table, origin)
        run, study = plan.run, plan.study
        space = Space(run, plan.space, f"{origin}: space")
        for i, point in enumerate(study.points):
            space.encode(point, f"{origin}: study.points.{i}")
        if run.training.steps < run.selection.every:
            raise ConfigError(
                f"{origin}: run.training.steps: {run.training.steps} steps end before the first "
                f"judgement, which comes every {run.selection.every} (selection.every)"
            )
        study.search.build(0)
        if study.pruning:
            study.pruning.require_valid(plan, origin)
        return plan

    def compared(self) -> str:
        """Return the digest of what makes the trials of a study comparable: its run and space."""
        return Plan(run=self.run, space=self.space, study=StudyConfig(trials=1)).digest()

    @property
    def searched(self) -> Space:
        """The space, checked."""
        return Space(self.run, self.space, "space")
