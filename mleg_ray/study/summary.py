"""What came of a study, as plain values: for its report, for other programs, and for sampling."""

import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from mleg_ray.checkpoint import CARD, CHECKPOINT, STUDIES, run_uri
from mleg_ray.config import Config
from mleg_ray.definitions import OPERATORS
from mleg_ray.errors import ConfigError
from mleg_ray.storage import exists, join, read_json
from mleg_ray.study.ledger import best_trials, load, read_plan, trial_name
from mleg_ray.study.plan import DIRECTIONS, Plan
from mleg_ray.study.space import Space

State = Literal["complete", "pruned", "failed", "running"]
STATES: Mapping[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}
FEWEST = 5  # complete trials that tell parameters apart


class Repeat(Config):
    """A training of a trial's point with another seed."""

    seed: int
    quality: float
    checkpoint: str


class Trial(Config):
    """One trial: its point, how far it came, and what it is worth.

    `figures` holds what is known of all possible objectives, and `quality` the value of the study's
    first, None before it is known; `curve` the `ks_sum` by step; `checkpoint` the place of the best
    snapshot, empty if there is none; `parent` the trial from whose state it began.
    """

    name: str
    state: State
    point: dict[str, Any]
    parameters: dict[str, Any]
    figures: dict[str, float]
    quality: float | None
    step: int
    seconds: float
    ended: str
    curve: tuple[tuple[int, float], ...]
    checkpoint: str
    parent: str = ""
    repeats: tuple[Repeat, ...] = ()

    @property
    def median(self) -> float:
        """The median quality over the repeats, the trial's own if there are none."""
        if self.repeats:
            return statistics.median(repeat.quality for repeat in self.repeats)
        return math.inf if self.quality is None else self.quality

    @property
    def best_checkpoint(self) -> str:
        """The checkpoint of the best repeat, the trial's own if there are none."""
        best = min(self.repeats, key=lambda repeat: repeat.quality, default=None)
        return best.checkpoint if best else self.checkpoint


class Summary(Config):
    """All of a study; `ranking` and `front` are names of trials, the best first.

    Repeated trials come first in the ranking, by their median; the others are compared by the one
    value that the search chose them by, which flatters.
    """

    format_version: Literal[1] = 1
    name: str
    folder: str
    dataset_digest: str
    plan: Plan
    trials: tuple[Trial, ...]
    ranking: tuple[str, ...]
    front: tuple[str, ...]

    @property
    def storage(self) -> str:
        """The storage root that the study lies in, empty if it lies elsewhere."""
        return self.folder.rpartition(f"/{STUDIES}/")[0]

    @property
    def ranked(self) -> list[Trial]:
        """The complete trials that have a checkpoint, the best first."""
        trials = {trial.name: trial for trial in self.trials}
        return [trials[name] for name in self.ranking]

    @property
    def parameters(self) -> list[str]:
        """The names of all searched parameters; a trial need not have every one."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.parameters))

    @property
    def trial_seconds(self) -> float:
        """Training time of all trials."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def saved_seconds(self) -> float:
        """What the pruned trials would have taken besides, at their own pace."""
        steps = self.plan.run.training.steps
        return sum(
            trial.seconds * (steps / trial.step - 1)
            for trial in self.trials
            if trial.state == "pruned" and trial.step
        )

    def comparable(self) -> tuple[int, dict[str, float]]:
        """Return trials by name with their qualities at a step that all of these came to.

        It is the last step to which half of the judged trials came, so that pruned ones count too.
        """
        steps, quality = self.plan.run.training.steps, self.plan.study.quality
        if quality != "ks_sum":  # known of complete trials alone
            return steps, {t.name: t.quality for t in self.trials if t.quality is not None}
        judged = [trial for trial in self.trials if trial.quality is not None]
        # A complete trial stays as good as it was, also if it ended on a plateau.
        reached = {t.name: steps if t.state == "complete" else t.curve[-1][0] for t in judged}
        step = sorted(reached.values(), reverse=True)[(len(reached) - 1) // 2] if reached else steps
        return step, {
            t.name: min((ks for at, ks in t.curve if at <= step), default=t.figures["ks_sum"])
            for t in judged
            if reached[t.name] >= step
        }

    def prefer(self, wishes: Sequence[str]) -> Trial:
        """Return the best trial of those that fulfil every wish, such as `throughput>=2e6`.

        Raises:
            ConfigError: a wish cannot be read, its figure was not measured, or no trial fulfils
                all of them.
        """
        chosen = self.ranked
        for wish in wishes:
            name, compare, bound = _read_wish(wish)
            known = [trial for trial in chosen if name in trial.figures]
            if chosen and not known:
                measured = sorted({figure for trial in chosen for figure in trial.figures})
                raise ConfigError(
                    f"--prefer {wish!r}: the study has not measured {name} but "
                    f"{', '.join(measured)}; it measures what study.objectives names"
                )
            chosen = [trial for trial in known if compare(trial.figures[name], bound)]
        if not chosen:
            raise ConfigError(f"{self.folder}: no trial fulfils {' and '.join(wishes)}")
        return chosen[0]


def summarise(folder: str) -> Summary:
    """Read a study's folder; raises as `read_plan` and `load` do."""
    begun = read_plan(folder)
    plan = begun.plan
    study, space = load(plan, folder), plan.searched
    trials = {
        trial.number: _summary_of(trial, plan, space, study, folder)
        for trial in study.get_trials(deepcopy=False)
        if trial.state != TrialState.WAITING
    }
    best = (trials[trial.number] for trial in best_trials(study))
    ranked = [trial for trial in best if trial.checkpoint]
    ranked.sort(key=lambda trial: (not trial.repeats, trial.median))
    front = study.best_trials if len(plan.study.objectives) > 1 else []
    return Summary(
        name=study.study_name,
        folder=folder,
        dataset_digest=begun.dataset,
        plan=plan,
        trials=tuple(trials.values()),
        ranking=tuple(trial.name for trial in ranked),
        front=tuple(trial_name(trial.number) for trial in front),
    )


def _summary_of(
    trial: FrozenTrial, plan: Plan, space: Space, study: optuna.Study, folder: str
) -> Trial:
    name = trial_name(trial.number)
    checkpoint = join(run_uri(folder, name), CHECKPOINT)
    has_checkpoint = exists(join(checkpoint, CARD))
    history = read_json(join(checkpoint, CARD))["history"] if has_checkpoint else []
    curve = dict(sorted(trial.intermediate_values.items())) or {
        int(entry["step"]): entry["ks_sum"] for entry in history
    }
    attributes = trial.user_attrs
    figures = {
        key: attributes[key] for key in DIRECTIONS if math.isfinite(attributes.get(key, math.nan))
    }
    if trial.state == TrialState.COMPLETE:
        figures |= dict(zip(plan.study.objectives, trial.values, strict=True))
    elif curve:
        figures["ks_sum"] = min(curve.values())
    drawn = trial.state != TrialState.RUNNING
    return Trial(
        name=name,
        state=STATES[trial.state],
        point=space.draw(optuna.trial.FixedTrial(trial.params)) if drawn else {},
        parameters=trial.params,
        figures=figures,
        quality=figures.get(plan.study.quality),
        step=attributes.get("step", max(curve, default=0)),
        seconds=attributes.get("seconds", history[-1]["seconds"] if history else 0.0),
        ended=attributes.get("ended", ""),
        curve=tuple(curve.items()),
        checkpoint=checkpoint if has_checkpoint else "",
        parent=attributes.get("parent", ""),
        repeats=tuple(_repeats(trial.number, plan, study, folder)),
    )


def _repeats(number: int, plan: Plan, study: optuna.Study, folder: str) -> Iterator[Repeat]:
    seeds = plan.study.repeats.other_seeds(plan.run.training.seed) if plan.study.repeats else ()
    for seed in seeds:
        name = trial_name(number, seed)
        if name in study.user_attrs:
            yield Repeat(
                seed=seed,
                quality=study.user_attrs[name][plan.study.quality],
                checkpoint=join(run_uri(folder, name), CHECKPOINT),
            )


def _read_wish(wish: str) -> tuple[str, Callable[[float, float], bool], float]:
    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|>|<)\s*(\S+)\s*", wish)
    try:
        if match is None or match[1] not in DIRECTIONS:
            raise ValueError
        return match[1], OPERATORS[match[2]], float(match[3])
    except ValueError:
        raise ConfigError(
            f"--prefer {wish!r}: write it as FIGURE>=NUMBER or FIGURE<=NUMBER; figures are "
            f"{', '.join(DIRECTIONS)}"
        ) from None


def importance(summary: Summary) -> dict[str, float]:
    """Return each parameter's share of the variance of the log quality, the largest first.

    By fANOVA, F. Hutter et al., ICML 2014, over the trials of `Summary.comparable` and the
    parameters that all of these have; with fewer than `FEWEST` trials nothing can be said. Raises
    as `load` does.
    """
    _, values = summary.comparable()
    if len(values) < FEWEST:
        return {}
    study = optuna.create_study()
    for trial in load(summary.plan, summary.folder).get_trials(deepcopy=False):
        if value := values.get(trial_name(trial.number)):
            study.add_trial(
                optuna.create_trial(
                    params=trial.params, distributions=trial.distributions, value=math.log(value)
                )
            )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=summary.plan.study.seed)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
