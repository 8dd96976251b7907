"""What has to be done from a recipe to a judged sample, and about how long each part takes here."""

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mleg_ray.catalog.codec import bytes_of
from mleg_ray.catalog.dataset import PREPARED, Dataset
from mleg_ray.catalog.prepare import PreparePlan, plan_dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import CARD, CHECKPOINT, Checkpoint, run_uri
from mleg_ray.cluster.rehearsal import Rehearsal
from mleg_ray.cluster.sample import default_target
from mleg_ray.cluster.session import possible_cpus
from mleg_ray.cluster.train import as_teacher, run_name, teacher_recipe
from mleg_ray.console import say
from mleg_ray.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    TrainingDivergedError,
    UserError,
)
from mleg_ray.run import RunConfig
from mleg_ray.sampling.spectra import Spectrum
from mleg_ray.storage import exists, join, require_space

TEST = "test"  # the split that judges
Made = TypeVar("Made")
Cost = TypeVar("Cost")
# What may happen in small, and not in the whole: too few events, or a step that diverges.
USUAL: tuple[type[UserError], ...] = (CheckpointError, DataError, TrainingDivergedError)


@dataclass(frozen=True)
class Training:
    """A recipe that is trained for a production, and what it learns from."""

    recipe: str
    assignments: tuple[str, ...]
    run: RunConfig
    dataset: PreparePlan

    def checkpoint(self, storage: str) -> Checkpoint | None:
        """Return what came of it, if it is finished."""
        folder = self.dataset.folder.uri
        if not exists(join(folder, PREPARED)):
            return None
        name = run_name(self.recipe, self.run, Dataset.open(folder))
        place = join(run_uri(storage, name), CHECKPOINT)
        return Checkpoint.load(place) if exists(join(place, CARD)) else None


@dataclass(frozen=True)
class Stage:
    """A part of the work: what is made, how much of it, and the seconds if they are known."""

    what: str
    amount: str
    seconds: float | None
    there: bool = False


def trainings(recipe: str, assignments: tuple[str, ...], storage: str) -> list[Training]:
    """Return what is trained for a recipe, teachers first.

    Raises:
        UserError: a recipe or entry is invalid, a recipe teaches itself, a model does not fit its
            events, or what `plan_dataset` raises.
    """
    runs: dict[str, tuple[tuple[str, ...], RunConfig]] = {}
    trained: RunConfig | None = RunConfig.load(recipe, assignments)
    while trained is not None:
        if recipe in runs:
            raise ConfigError(f"{recipe}: is its own teacher; name another recipe or a checkpoint")
        runs[recipe] = assignments, trained
        recipe, assignments = trained.teacher or "", as_teacher(trained)
        trained = teacher_recipe(trained)
    names = dict.fromkeys(run.dataset for _, run in runs.values())
    plans = {name: plan_dataset(DatasetSpec.load(name), storage) for name in names}
    for _, run in runs.values():
        described = plans[run.dataset].description
        run.build_model(run.features.build(described.schema_, described.conditions))
    return [
        Training(name, assigned, run, plans[run.dataset])
        for name, (assigned, run) in reversed(runs.items())
    ]


def require_conditions(training: Training, given: Mapping[str, Spectrum]) -> None:
    """Raise `ConfigError` unless the sample's conditions are those that vary in the events."""
    described = training.dataset.description
    varying = described.schema_.varying(described.conditions)
    if missing := [name for name in varying if name not in given]:
        name = missing[0]
        raise ConfigError(
            f"{training.recipe}: {', '.join(missing)} of {described.name} varies from event to "
            f"event; say which the sample has, as in `mleg produce {training.recipe} --condition "
            f"{name}=VALUE`, or a spectrum, as `mleg sample` has it"
        )
    if unknown := [name for name in given if name not in varying]:
        raise ConfigError(
            f"--condition {unknown[0]}: of {described.name} "
            f"{', '.join(varying) + ' varies' if varying else 'no condition varies'}"
        )


def judges(training: Training, wanted: int | None) -> int:
    """Return how many true events will judge the sample.

    Raises:
        ConfigError: more are wanted than the test split has.
    """
    rows = Counter[str]()
    for shard in training.dataset.shards:
        rows[shard.split] += shard.rows
    if wanted is not None and wanted > rows[TEST]:
        whole = math.ceil(wanted * sum(rows.values()) / rows[TEST])
        raise ConfigError(
            f"--judged-by {wanted:,}: the test split of {training.dataset.spec.name} has "
            f"{rows[TEST]:,} events; so many need a dataset of {whole:,}, by an entry of your own "
            "that extends it"
        )
    return rows[TEST]


def stages(
    chain: Sequence[Training],
    events: int,
    storage: str,
    *,
    seed: int,
    given: Mapping[str, Spectrum],
    workers: int | None,
) -> Iterator[Stage]:
    """Yield what is prepared, trained and sampled, in this order, as soon as it is rehearsed.

    Only what is not there is rehearsed, in small; what cannot be, as files that are imported, has
    no seconds. Needs Ray, which knows the CPUs.

    Raises:
        ConfigError: the conditions do not fit.
        ResourceError: there is no space for the sample.
    """
    done = [training.checkpoint(storage) for training in chain]
    _require_space(chain[-1], done[-1], events, storage, seed, given)
    cpus = max(1, possible_cpus() - 1)
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = Rehearsal(folder)
        small: dict[str, Dataset | None] = {}
        for name, plan in {t.run.dataset: t.dataset for t in chain}.items():
            there = exists(join(plan.folder.uri, PREPARED))
            small[name], preparation = (
                (None, None)
                if there and all(done)
                else _tried(partial(rehearsal.prepare, name), ConfigError)
            )
            if small[name] is None and there:
                small[name] = Dataset.open(plan.folder.uri)
            rows = sum(shard.rows for shard in plan.shards)
            seconds = None if preparation is None else preparation.seconds(plan) / cpus
            yield Stage(f"prepare {plan.spec.name}", f"{rows:,} events", seconds, there)
        checkpoint: Checkpoint | None = None
        for training, finished in zip(chain, done, strict=True):
            run, dataset, each = training.run, small[training.run.dataset], None
            if checkpoint is not None:  # the teacher's
                run = run.model_copy(update={"teacher": checkpoint.uri})
            checkpoint = finished
            if finished is None and dataset is not None:
                checkpoint, each = _tried(partial(rehearsal.train, run, dataset))
            steps = run.training.steps
            seconds = None if each is None else min(each * steps, run.training.seconds or math.inf)
            title = f"train {training.recipe}"
            yield Stage(title, f"{steps:,} steps", seconds, finished is not None)
        each = _tried(partial(rehearsal.sample, checkpoint, given))[1] if checkpoint else None
        seconds = None if each is None else each * events / (workers or cpus)
        yield Stage("sample", f"{events:,} events", seconds)


def _require_space(
    last: Training,
    done: Checkpoint | None,
    events: int,
    storage: str,
    seed: int,
    given: Mapping[str, Spectrum],
) -> None:
    """Raise `ResourceError` if a sample that is not begun has no space."""
    if done and exists(default_target(storage, done.uri, events, seed, given)):
        return
    one = [name for name, spectrum in given.items() if spectrum.only is not None]
    require_space(storage, events * bytes_of(last.dataset.description.stored.without(one)))


def _tried(
    rehearse: Callable[[], tuple[Made, Cost]], *more: type[UserError]
) -> tuple[Made | None, Cost | None]:
    """Return what a rehearsal returns, nothing if it fails as the whole need not."""
    try:
        return rehearse()
    except (*USUAL, *more) as error:
        say(f"Not rehearsed: {error}", style="dim")
        return None, None
