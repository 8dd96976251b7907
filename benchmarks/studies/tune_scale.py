"""What a study of many trials takes of its driver: proposals, pruning, the journal, its summary.

Nothing is trained: each trial is told a `ks_sum` that falls with its steps to what its point is
worth, and as many run at once as on a cluster. What Ray Tune itself takes is in `tune-overhead`.
"""

import enum
import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import typer

from benchmarks.common.options import Assigned
from benchmarks.common.results import Results, Row, timed
from benchmarks.speed.evaluate import peak
from mleg_ray.checkpoint import STUDIES
from mleg_ray.folder import SealedFolder
from mleg_ray.run import RunConfig
from mleg_ray.storage import join, remove_folder
from mleg_ray.study.ledger import StudyPlan, begin
from mleg_ray.study.plan import Job, Jobs, Plan
from mleg_ray.study.pruning import searched
from mleg_ray.study.summary import importance, summarise

RECIPE = "fatgan-quick"
PARTS = 10  # of a study, each measured alone
BEST_RATE = 1e-3  # of the generator's learning; farther from it trials are worse


class Search(enum.StrEnum):
    """Who proposes the next point."""

    TPE = "tpe"
    RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class Asked(Assigned):
    """How many trials, who proposes them, and how many of them run at the same time."""

    keeps: ClassVar[bool] = True

    searches: Annotated[
        list[Search],
        typer.Option(
            "--search",
            default_factory=lambda: list(Search),
            show_default="all",
            help="Repeatable.",
        ),
    ]
    trials: Annotated[int, typer.Option(min=PARTS)] = 10_000
    at_once: Annotated[int, typer.Option(min=1)] = 100


def measure(options: Asked, results: Results) -> None:
    """Measure a study of each search."""
    for search in options.searches:
        own = (f"study.trials={options.few(options.trials, 10 * PARTS)}", *options.assigned)
        plan = Plan.load(RECIPE, (f"study.search={{ kind = '{search}' }}", *own))
        name = f"bench-scale-{search}-{int(time.time())}"
        folder = SealedFolder(join(options.place, STUDIES, name), StudyPlan(plan=plan, dataset=""))
        _measured({"search": search.value}, plan, folder, options.at_once, results)
        remove_folder(folder.uri)


def _measured(
    labels: Row, plan: Plan, folder: SealedFolder[StudyPlan], at_once: int, results: Results
) -> None:
    """Tell the trials' results, and measure each tenth of the study; then read it all."""
    study, trials = begin(folder, resume=False), plan.study.trials
    told = results_of(searched(plan, study), plan.run, at_once)
    for part in range(1, PARTS + 1):
        share = list(range((part - 1) * trials // PARTS, part * trials // PARTS))
        _, seconds = timed(lambda: [next(told) for _ in share], time.process_time)  # noqa: B023
        figures = {"ms of a trial": 1e3 * seconds / len(share), "peak GB": peak()}
        results.add(labels | {"trials": share[-1] + 1}, figures)
    summary, read = timed(partial(summarise, folder.uri), time.process_time)
    _, judged = timed(partial(importance, summary), time.process_time)
    figures = {"s to read": read, "s of importance": judged, "peak GB": peak()}
    ends = Counter(trial.state for trial in summary.trials)
    results.add(labels | {"trials": f"all {trials}"}, figures | {**ends})


def results_of(jobs: Jobs, run: RunConfig, at_once: int) -> Iterator[Job]:
    """Tell jobs their results, `at_once` of them a snapshot each in turn; yield what ended."""
    running: deque[tuple[Job, int]] = deque()
    while True:
        while len(running) < at_once and (job := jobs.ask()):
            running.append((job, 0))
        if not running:
            return
        job, step = running.popleft()
        step += run.selection.every
        result = told_at(job.run, step)
        if jobs.observe(job, result) or result["ended"]:
            jobs.finish(job, result)
            yield job
        else:
            running.append((job, step))


def told_at(run: RunConfig, step: int) -> dict[str, object]:
    """Return what a training tells at a step: it tends to what its learning rate is worth."""
    rate = run.training.optimisers["generator"].learning_rate
    score = 0.12 + abs(math.log(rate / BEST_RATE)) + math.exp(-5 * step / run.training.steps)
    ended = "done" if step >= run.training.steps else ""
    return {"step": step, "ks_sum": score, "best": score, "best_step": step, "ended": ended}
