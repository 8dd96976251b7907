"""The ledger of a study: which points were proposed and what became of them.

Optuna's storage is the only record, so that a study that was killed goes on from it, and
`optuna-dashboard` shows it at any time.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from pydantic import SerializeAsAny

from mleg_ray.config import Config, read_config
from mleg_ray.errors import ConfigError, DataError, ResourceError, UserError
from mleg_ray.folder import PLAN, FolderPlan, SealedFolder, is_for
from mleg_ray.randomness import derive_seed
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, is_remote, join, read_folder, remove, write_bytes
from mleg_ray.study.plan import DIRECTIONS, Job, Jobs, Measure, Plan, experimental
from mleg_ray.study.space import Parameter

JOURNAL = "journal.log"
REMOTE_JOURNAL = "journal"  # a folder of parts, for objects cannot be appended to
KEPT = ("step", "best_step", "ended", *DIRECTIONS)  # of a training's last result

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Ledger(Jobs):
    """Proposes the points of a search and records them."""

    def __init__(self, plan: Plan, study: optuna.Study) -> None:
        self.study = study
        self._plan = plan
        self._space = plan.searched
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._interrupted = [optuna.trial.Trial(study, trial._trial_id) for trial in running]
        self._running: dict[str, optuna.Trial] = {}

    def __len__(self) -> int:
        return self._plan.study.trials

    def ask(self) -> Job | None:
        """Return an interrupted trial, else a new point until there are `trials`.

        A point whose values do not fit together is recorded as failed and passed over.
        """
        while trial := self._interrupted.pop(0) if self._interrupted else self._propose():
            point = self._space.draw(trial)
            try:
                run = self._space.run(point)
            except ConfigError as error:
                trial.set_user_attr("error", str(error))
                self.study.tell(trial, state=TrialState.FAIL)
                continue
            name = trial_name(trial.number)
            self._running[name] = trial
            return Job(name, run, trial.user_attrs.get("parent", ""))
        return None

    def observe(self, job: Job, result: Mapping[str, Any]) -> bool:
        """Record a judged snapshot; tell whether the pruner wants the trial stopped."""
        trial, step = self._running[job.name], result["step"]
        known = self.study._storage.get_trial(trial._trial_id).intermediate_values
        if len(self._plan.study.objectives) > 1 or step in known:
            return False
        trial.report(result["ks_sum"], step)
        return not result["ended"] and trial.should_prune()

    def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        """Record the trial as COMPLETE with its objectives, or as PRUNED if it was stopped.

        One that diverged before its first good snapshot has the largest `ks_sum` there is.
        """
        trial = self._running.pop(job.name)
        kept = _kept(result)
        for key, value in kept.items():
            trial.set_user_attr(key, value)
        if not result.get("ended"):
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        self.study.tell(trial, [kept[name] for name in self._plan.study.objectives])

    def fail(self, job: Job) -> None:
        """Record the trial as FAIL."""
        self.study.tell(self._running.pop(job.name), state=TrialState.FAIL)

    def close(self) -> None:
        """Record as PRUNED what runs no longer: the study's time is over."""
        for job_name in list(self._running):
            self.study.tell(self._running.pop(job_name), state=TrialState.PRUNED)

    def _propose(self) -> optuna.Trial | None:
        trials = self.study.get_trials(deepcopy=False)
        proposed = sum(trial.state != TrialState.WAITING for trial in trials)
        return self.study.ask() if proposed < self._plan.study.trials else None


class Repeats(Jobs):
    """Trains the best points again with other seeds: the search chose them for their luck too."""

    def __init__(self, plan: Plan, study: optuna.Study) -> None:
        self.study = study
        repeats, space = plan.study.repeats, plan.searched
        self._waiting: list[Job] = []
        if repeats is None:
            return
        for trial in best_trials(study)[: repeats.best]:
            run = space.run(space.draw(optuna.trial.FixedTrial(trial.params)))
            for seed in repeats.other_seeds(plan.run.training.seed):
                name = trial_name(trial.number, seed)
                if name not in study.user_attrs:
                    training = run.training.model_copy(update={"seed": seed})
                    job = Job(name, run.model_copy(update={"training": training}))
                    self._waiting.append(job)

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self) -> Job | None:
        """Return the next repeat."""
        return self._waiting.pop(0) if self._waiting else None

    def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        """Record the repeat's result beside the study."""
        self.study.set_user_attr(job.name, _kept(result))


def _kept(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of a training's last result: `ks_sum` is the best snapshot's."""
    kept = {**result, "ks_sum": result["best"]}
    return {key: kept[key] for key in KEPT if key in kept}


def trial_name(number: int, seed: int | None = None) -> str:
    """Return the name of the folder of a trial, or of its repeat with another seed."""
    return f"{number:04d}" + ("" if seed is None else f"-seed{seed}")


def best_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the complete trials, the best first."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: trial.values[0])


class Compared(Config):
    """What makes the trials of a study comparable; how many there are, and how long, is not."""

    run: RunConfig
    space: dict[str, SerializeAsAny[Parameter]]
    objectives: tuple[Measure, ...]
    storage: str | None
    dataset: str


class StudyPlan(FolderPlan):
    """What a study's folder is for; `dataset` is the digest of what all trials are trained on."""

    MEND = "choose another --name"

    kind: Literal["study"] = "study"
    format_version: Literal[1] = 1
    plan: Plan
    dataset: str

    @property
    def identity(self) -> Compared:
        """What must be the same when the study goes on."""
        plan, study = self.plan, self.plan.study
        return Compared(
            run=plan.run,
            space=plan.space,
            objectives=study.objectives,
            storage=study.storage,
            dataset=self.dataset,
        )


def begin(folder: SealedFolder[StudyPlan], *, resume: bool) -> optuna.Study:
    """Begin a study in its folder, or open the one that was begun there.

    Raises:
        ConfigError: there is one and `resume` was not asked for, or the folder is for another, or
            holds other files.
        ResourceError: the folder or the database cannot be written.
    """
    plan, there = folder.plan.plan, folder.require_own()
    if there and not resume:
        raise ConfigError(
            f"{folder.uri}: this study was begun already; continue it with --resume, or begin "
            "another with --name"
        )
    folder.write_plan()  # also of a study that goes on: it may have more trials, or time
    try:
        study = load(plan, folder.uri) if there else _created(plan, folder.uri)
    except BaseException:
        if not there:
            remove(join(folder.uri, PLAN))
        raise
    finished = study.get_trials(deepcopy=False)
    study.sampler = plan.study.search.build(
        derive_seed(plan.study.seed, "search", len(finished)) % 2**32
    )
    study.pruner = plan.study.pruning.build() if plan.study.pruning else optuna.pruners.NopPruner()
    return study


def _created(plan: Plan, folder: str) -> optuna.Study:
    with _storage_errors(plan.study.storage):
        study = optuna.create_study(
            storage=_storage(plan, folder),
            study_name=PurePosixPath(folder).name,
            directions=[DIRECTIONS[name] for name in plan.study.objectives],
        )
        with experimental():
            study.set_metric_names(list(plan.study.objectives))
        for i, point in enumerate(plan.study.points):
            study.enqueue_trial(plan.searched.encode(point, f"study.points.{i}"))
    return study


def read_plan(folder: str) -> StudyPlan:
    """Return the plan of the study in a folder; `ConfigError` if there is none."""
    if not is_for(folder, StudyPlan):
        raise ConfigError(f"{folder}: no study, it lacks {PLAN}; `mleg tune RECIPE` begins one")
    return read_config(StudyPlan, join(folder, PLAN))


def load(plan: Plan, folder: str) -> optuna.Study:
    """Open the record of the study in a folder.

    Raises:
        DataError: the journal is damaged, or of other objectives than the plan.
        ResourceError: the record is gone, or the database does not answer.
    """
    name, place = PurePosixPath(folder).name, plan.study.storage or _journal(folder)
    with _storage_errors(plan.study.storage):
        try:
            study = optuna.load_study(study_name=name, storage=_storage(plan, folder))
        except UserError:
            raise
        except KeyError:
            raise ResourceError(f"{place}: the record of study {name} is gone") from None
        except (ValueError, TypeError, AssertionError, IsADirectoryError) as error:
            raise DataError(
                f"{place}: damaged ({error or type(error).__name__}); put back a copy of it, or "
                "begin another study with --name"
            ) from None
    objectives = plan.study.objectives
    if [way.name.lower() for way in study.directions] != [DIRECTIONS[name] for name in objectives]:
        raise DataError(
            f"{join(folder, PLAN)}: altered: study.objectives are {', '.join(objectives)}, but "
            f"{place} records {len(study.directions)} other; put back a copy of it, or begin "
            "another study with --name"
        )
    return study


def _storage(plan: Plan, folder: str) -> optuna.storages.BaseStorage:
    if plan.study.storage:
        return optuna.storages.RDBStorage(plan.study.storage)
    place = _journal(folder)
    journal = _MirroredJournal(place) if is_remote(folder) else JournalFileBackend(absolute(place))
    return optuna.storages.JournalStorage(journal)


def _journal(folder: str) -> str:
    return join(folder, REMOTE_JOURNAL if is_remote(folder) else JOURNAL)


class _MirroredJournal(JournalFileBackend):
    """A journal in an object store: the driver alone writes it, from its own local file.

    What is appended becomes an object of its own, named by its place in the journal. So no line is
    written twice, and none is lost when the driver is killed. A part that could not be written is
    written with the next one.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._local = Path(tempfile.mkdtemp(prefix="mleg-journal-")) / JOURNAL
        parts = read_folder(uri)
        self._local.write_bytes(b"".join(parts[name] for name in sorted(parts)))
        self._mirrored = self._local.stat().st_size
        super().__init__(str(self._local))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        super().append_logs(logs)
        with self._local.open("rb") as stream:
            stream.seek(self._mirrored)
            lines = stream.read()
        write_bytes(join(self._uri, f"{self._mirrored:012d}.jsonl"), lines)
        self._mirrored += len(lines)


@contextlib.contextmanager
def _storage_errors(url: str | None) -> Iterator[None]:
    if url is None:
        yield
        return
    import sqlalchemy.exc

    try:
        yield
    except (
        sqlalchemy.exc.SQLAlchemyError,
        ImportError,
        optuna.exceptions.StorageInternalError,
    ) as error:
        shown = url.rsplit("@", 1)[-1]  # without the password
        raise ResourceError(
            f"study.storage: {shown}: {str(error).splitlines()[0]}; give the URL of a database "
            "that answers, or leave it out"
        ) from None
