"""Studies on Ray Tune: trials side by side, each a training; Optuna proposes and prunes."""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from ray import tune
from ray.tune.search import Searcher

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import STUDIES, run_uri
from mleg_ray.cluster.session import (
    environment,
    possible_cpus,
    ray_session,
    require_cpus,
    require_node,
)
from mleg_ray.cluster.train import require_name, tell_outside, unfitted_model, with_teacher
from mleg_ray.cluster.trial import Surroundings, run_trial
from mleg_ray.console import Bar, progress_bar, say
from mleg_ray.errors import ConfigError, ResourceError, TrainingDivergedError, UserError
from mleg_ray.folder import SealedFolder
from mleg_ray.report.study import write_study_report
from mleg_ray.storage import join, remove_folder, sha256
from mleg_ray.study.ledger import Repeats, StudyPlan, begin
from mleg_ray.study.measures import require_comparable_events
from mleg_ray.study.plan import Job, Jobs, Plan, StudyConfig
from mleg_ray.study.pruning import searched
from mleg_ray.study.summary import Summary, Trial, summarise
from mleg_ray.training.selection import SnapshotSelector
from mleg_ray.training.share import fitted_map
from mleg_ray.training.trainee import STATE

REPORT = "report"
LOGS = "tune"  # Ray Tune's own folder: TensorBoard and JSON logs of every trial
RETRIES = 2  # of a trial whose process or node was lost


def study_name(recipe: str, plan: Plan, dataset: Dataset) -> str:
    """Return the default name of a study: equal runs, spaces and data give the same name."""
    return f"{Path(recipe).stem}-{sha256((plan.compared() + dataset.digest).encode())[:8]}"


def run_study(
    plan: Plan, dataset: Dataset, storage: str, *, name: str, resume: bool = False
) -> Summary:
    """Search a space in `<storage>/studies/<name>` and return what came of it.

    With `resume` an interrupted study goes on: unfinished trials from their last report, finished
    ones are not repeated, and `study.trials` may have grown.

    Raises:
        UserError: see `unfitted_model`, `fitted_map`, `begin`, `require_node`, `ray_session`.
        TrainingDivergedError: no trial ended in a usable model.
    """
    require_name(name)
    dataset = dataset.selecting(plan.run.where)
    plan = plan.model_copy(update={"run": with_teacher(plan.run, dataset, storage)})
    begun_for = StudyPlan(plan=plan, dataset=dataset.digest)
    folder = SealedFolder(join(storage, STUDIES, name), begun_for)
    unfitted_model(plan.run, dataset)  # refuses what cannot be built now, not in every trial
    SnapshotSelector(plan.run, dataset)  # refuses unknown observables and damaged shards now
    feature_map, _ = fitted_map(plan.run, dataset)
    tell_outside(feature_map)
    asked = plan.study
    if "c2st_auc" in asked.objectives:
        require_comparable_events(dataset)
    with ray_session(spare=0 if asked.workers == 1 else 1):
        # Workers on Ray Train want a CPU more for reading, and one for the trial that waits for it.
        if asked.workers > 1:
            require_cpus(asked.cpus * asked.workers + 2)
        require_node(asked.cpus, asked.gpus, by="a trial", lower="study.cpus or study.gpus")
        study = begin(folder, resume=resume)
        with folder.work():
            _searched(plan, study, dataset, folder.uri)
    summary = summarise(folder.uri)
    say(f"Report: {write_study_report(summary, join(folder.uri, REPORT))}")
    return summary


def _searched(plan: Plan, study: optuna.Study, dataset: Dataset, folder: str) -> None:
    """Run the trials of a study that are to come, then the repeats of the best.

    Raises:
        UserError: no trial ended in a usable model.
    """
    asked = plan.study
    engine = _Engine(
        folder,
        Surroundings(
            folder=folder,
            dataset_uri=dataset.uri,
            environment=environment(),
            threads=asked.cpus,
            workers=asked.workers,
            on_gpu=asked.gpus > 0,
            objectives=asked.objectives,
        ),
        asked,
    )
    jobs = searched(plan, study)
    started = time.monotonic()
    engine.run(jobs, "searching", asked.seconds, summarise(folder).trials)
    if asked.seconds and time.monotonic() - started >= asked.seconds:
        jobs.close()
    summary = summarise(folder)
    if not summary.ranking:
        raise _nothing_came(summary, plan)
    if jobs.keeps_states:
        for trial in summary.trials:
            remove_folder(join(run_uri(folder, trial.name), STATE))
    engine.run(Repeats(plan, study), "repeating")


class _Engine:
    """Runs jobs as Tune trials, as many at once as the cluster holds."""

    def __init__(self, folder: str, surroundings: Surroundings, asked: StudyConfig) -> None:
        self._folder = folder
        self._surroundings = surroundings
        self._asked = asked

    def run(
        self,
        jobs: Jobs,
        title: str,
        seconds: float | None = None,
        before: Sequence[Trial] = (),
    ) -> None:
        """Run jobs until there are no more of them, or the time is over.

        The bar also counts the trials that ended `before`.
        """
        count = len(jobs)
        if count == 0:
            return
        asked = self._asked
        # A trial on Ray Train only waits for its workers, which Tune does not count.
        alone = asked.workers == 1
        resources = {"CPU": float(asked.cpus), "GPU": asked.gpus} if alone else {"CPU": 1.0}
        most = None if alone else max(1, possible_cpus() // (asked.cpus * asked.workers + 2))
        search = _Search(jobs, self._folder)
        trainable = tune.with_parameters(run_trial, surroundings=self._surroundings)
        os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # an interrupt ends the command
        os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the bar says it all
        progress = _Progress(before)
        with progress_bar(title, count + progress.ended) as progress.bar:
            tune.Tuner(
                tune.with_resources(trainable, resources),
                tune_config=tune.TuneConfig(
                    search_alg=search,
                    num_samples=count,
                    max_concurrent_trials=most,
                    time_budget_s=seconds,
                    reuse_actors=alone,
                    trial_dirname_creator=_trial_name,
                    trial_name_creator=_trial_name,
                ),
                run_config=tune.RunConfig(
                    name=LOGS,
                    storage_path=self._folder,
                    stop=_Stop(search),
                    callbacks=[progress],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                    verbose=0,
                ),
            ).fit()


class _Search(Searcher):
    """Hands jobs to Tune and their ends back.

    What Ray's own OptunaSearch does, but pruned trials end as PRUNED, and Optuna's storage is the
    only state: see docs/decisions/0006-studies.md.
    """

    def __init__(self, jobs: Jobs, folder: str) -> None:
        super().__init__(metric="ks_sum", mode="min")
        self._jobs = jobs
        self._folder = folder
        self.running: dict[str, Job] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        job = self._jobs.ask()
        if job is None:
            return None if self.running else Searcher.FINISHED  # type: ignore[return-value]
        self.running[trial_id] = job
        return {"name": job.name, "run": job.run.model_dump(mode="json"), "parent": job.parent}

    def observe(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return self._jobs.observe(self.running[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        job = self.running.pop(trial_id)
        if error or result is None:
            self._jobs.fail(job)
            return
        self._jobs.finish(job, result)
        if not self._jobs.keeps_states:
            remove_folder(join(run_uri(self._folder, job.name), STATE))  # nothing will resume it

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the storage has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the storage has it all."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Stop(tune.Stopper):
    """Asks at every report whether a trial should be pruned."""

    def __init__(self, search: _Search) -> None:
        self._search = search

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._search.observe(trial_id, result)

    def stop_all(self) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Progress(tune.Callback):
    """The bar of a study: trials that ended, and in words those that run, and the best."""

    bar: Bar

    def __init__(self, before: Sequence[Trial]) -> None:
        self._running: set[str] = set()
        self._counts = {
            "done": sum(trial.state == "complete" for trial in before),
            "pruned": sum(trial.state == "pruned" for trial in before),
            "failed": sum(trial.state == "failed" for trial in before),
        }
        scores = [(trial.figures["ks_sum"], trial.name) for trial in before if trial.figures]
        self._best = min(scores, default=(float("inf"), ""))
        self._floor = ""

    @property
    def ended(self) -> int:
        """The number of trials that have ended."""
        return sum(self._counts.values())

    def on_trial_start(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401 - Tune's own, which has no public type
        **info: Any,  # noqa: ANN401
    ) -> None:
        self._running.add(trial.trial_id)
        self._show()

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        result: dict[str, Any],
        **info: Any,  # noqa: ANN401
    ) -> None:
        self._best = min(self._best, (result["best"], trial.config["name"]))
        if "floor" in result:  # the same of all trials
            self._floor = f", floor {result['floor']:.4f}"
        self._show()

    def on_trial_complete(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        **info: Any,  # noqa: ANN401
    ) -> None:
        self._end(trial, "done" if trial.last_result.get("ended") else "pruned")

    def on_trial_error(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        **info: Any,  # noqa: ANN401
    ) -> None:
        self._end(trial, "failed")

    def _end(self, trial: Any, how: str) -> None:  # noqa: ANN401
        self._running.discard(trial.trial_id)
        self._counts[how] += 1
        self._show()

    def _show(self) -> None:
        parts = [f"{len(self._running)} running"]
        parts += [f"{count} {how}" for how, count in self._counts.items() if count]
        best, name = self._best
        if name:
            parts.append(f"best ks_sum {best:.4f} ({name}){self._floor}")
        self.bar.update(self.ended, ", ".join(parts))

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _trial_name(trial: Any) -> str:  # noqa: ANN401
    name: str = trial.config["name"]
    return name


def _nothing_came(summary: Summary, plan: Plan) -> UserError:
    """Return why a study has no trial to show."""
    counts = Counter(trial.ended or trial.state for trial in summary.trials)
    found = ", ".join(f"{count} {how}" for how, count in counts.items()) or "none begun"
    if plan.study.seconds and not any(trial.curve for trial in summary.trials):
        return ConfigError(
            f"study.seconds: no trial was judged within {plan.study.seconds:g} s; allow more time "
            "(--resume goes on), or judge more often with run.selection.every"
        )
    if counts["diverged"]:
        return TrainingDivergedError(
            f"{summary.folder}: no trial has a finite snapshot ({found}); search lower "
            "learning rates"
        )
    return ResourceError(
        f"{summary.folder}: no trial was completed ({found}); the errors of failed ones are in "
        f"{join(summary.folder, LOGS)}, --resume goes on with more study.trials"
    )
