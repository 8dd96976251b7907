"""Population-based training: who goes on from whom, and that a killed study forgets nothing."""

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from mleg_ray.errors import ConfigError
from mleg_ray.study.plan import Job, Plan
from mleg_ray.study.pruning import FACTOR, Population
from tests.study.plans import begun, small_plan

PBT = 'pruning = { kind = "pbt", every = 20, share = 0.25 }'
RATE = "training.optimisers.autoencoder.learning_rate"
SPACE = f'"{RATE}" = {{ kind = "log-uniform", low = 1e-5, high = 1e-1 }}'
STEPS = 60


def plan_of(folder: Path, pruning: str = PBT, *, space: str = SPACE, trials: int = 4) -> Plan:
    return small_plan(folder, pruning, trials=trials, space=space, run=(f"training.steps={STEPS}",))


def opened(plan: Plan, folder: Path, *, resume: bool = False) -> Population:
    assert plan.study.pruning
    population = plan.study.pruning.jobs(plan, begun(plan, str(folder), resume=resume))
    assert isinstance(population, Population)
    return population


def result(step: int, ks_sum: float, ended: str = "") -> dict[str, Any]:
    costs = {"best": ks_sum, "best_step": step, "seconds": step / 10, "flops": 10.0}
    return {"step": step, "ks_sum": ks_sum, "ended": ended} | costs


def stretch(population: Population, job: Job, start: int, ks_sum: float) -> int:
    """Go on to the end of a stretch; return its last step."""
    for step in range(start + 10, STEPS + 1, 10):
        last = result(step, ks_sum, "steps" if step == STEPS else "")
        if population.observe(job, last) or last["ended"]:
            population.finish(job, last)
            return step
    raise AssertionError


def asked(population: Population) -> Job:
    job = population.ask()
    assert job
    return job


def test_the_worst_goes_on_from_the_best_with_changed_parameters(tmp_path: Path) -> None:
    population = opened(plan_of(tmp_path), tmp_path / "study")
    first = [asked(population) for _ in range(4)]
    assert population.ask() is None  # all members are running
    assert len(population) == 12
    for job, ks_sum in zip(first, (0.4, 0.1, 0.3, 0.2), strict=True):
        assert stretch(population, job, 0, ks_sum) == 20
    second = [asked(population) for _ in range(4)]
    assert [job.parent for job in second] == ["0001", "0001", "0002", "0003"]
    for job, before in zip(second[1:], first[1:], strict=True):
        assert job.run == before.run
    rates = [
        job.run.training.optimisers["autoencoder"].learning_rate for job in (second[0], first[1])
    ]
    ratio = rates[0] / rates[1]
    assert ratio != pytest.approx(1.0)
    if ratio not in (pytest.approx(FACTOR), pytest.approx(1 / FACTOR)):
        assert 1e-5 <= rates[0] <= 1e-1  # drawn anew


def test_ways_end_with_the_steps_of_the_run(tmp_path: Path) -> None:
    population = opened(plan_of(tmp_path), tmp_path / "study")
    while job := population.ask():
        parent = population.study.trials[int(job.parent)] if job.parent else None
        start = parent.user_attrs["step"] if parent else 0
        stretch(population, job, start, 0.5 - start / 1000)
    trials = population.study.trials
    assert 8 < len(trials) <= len(population)  # who takes over a state may skip a stretch
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert sum(trial.user_attrs["ended"] == "steps" for trial in trials) == 4
    # A stretch has its own time, not that of its whole way.
    assert [trial.user_attrs["seconds"] for trial in trials] == pytest.approx([2.0] * len(trials))


def test_diverged_member_goes_on_from_the_best_if_there_is_one(tmp_path: Path) -> None:
    population = opened(plan_of(tmp_path), tmp_path / "study")
    first = [asked(population) for _ in range(4)]
    population.observe(first[0], result(10, 9.0, "diverged"))
    population.finish(first[0], result(10, 9.0, "diverged"))
    assert population.ask() is None  # the best is not known yet
    for job, ks_sum in zip(first[1:], (0.1, 0.3, 0.2), strict=True):
        stretch(population, job, 0, ks_sum)
    job = asked(population)
    assert job.parent == "0001"
    assert population.study.trials[4].user_attrs["member"] == 0


def test_failed_member_is_over(tmp_path: Path) -> None:
    population = opened(plan_of(tmp_path), tmp_path / "study")
    first = [asked(population) for _ in range(4)]
    population.fail(first[0])
    for job in first[1:]:
        stretch(population, job, 0, 0.1)
    assert {asked(population).parent for _ in range(3)} == {"0001", "0002", "0003"}
    assert population.ask() is None


def test_killed_study_goes_on(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    population = opened(plan, tmp_path / "study")
    for job in [asked(population) for _ in range(4)]:
        stretch(population, job, 0, 0.1)
    running = asked(population)
    again = opened(plan, tmp_path / "study", resume=True)
    assert asked(again) == running
    assert stretch(again, running, 20, 0.1) == 40


@pytest.mark.parametrize(
    ("pruning", "space", "complaint"),
    [
        (PBT.replace("20", "15"), SPACE, "study.pruning.every: must be a multiple"),
        (PBT.replace("20", "60"), SPACE, r"below training.steps, 60 \(got 60\)"),
        (
            PBT,
            '"model.decoder.widths" = { kind = "layers", width = [8, 16], depth = [1, 2] }',
            "'model.decoder.widths' cannot change while",
        ),
        (f"{PBT}\nrepeats = {{ best = 1, seeds = 2 }}", SPACE, "there is no point to repeat"),
        (PBT.replace("0.25", "0.2"), SPACE, "a share of 0.2 of 4 trials is none"),
    ],
)
def test_impossible_populations_are_refused(
    tmp_path: Path, pruning: str, space: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        plan_of(tmp_path, pruning, space=space)
