"""The summary: order, cost, wishes; fANOVA finds what matters."""

import json
from pathlib import Path

import pytest

from mleg_ray.errors import ConfigError, ResourceError
from mleg_ray.folder import SealedFolder
from mleg_ray.study.ledger import StudyPlan
from mleg_ray.study.summary import Summary, importance, summarise
from tests.study.plans import RATE, finished_study, small_plan

ASKED = """
pruning = { kind = "median", startup = 5, first = 20 }
repeats = { best = 3, seeds = 3 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return finished_study(tmp_path_factory.mktemp("study"), ASKED)


@pytest.fixture(scope="module")
def summary(folder: str) -> Summary:
    return summarise(folder)


def test_every_trial_is_told(summary: Summary) -> None:
    assert len(summary.trials) == 30
    states = [trial.state for trial in summary.trials]
    assert set(states) == {"complete", "pruned"}
    assert len(summary.ranking) == states.count("complete")
    for trial in summary.trials:
        assert trial.step == (100 if trial.state == "complete" else trial.curve[-1][0])
        assert trial.figures["ks_sum"] == min(value for _, value in trial.curve)
        assert trial.point[RATE] == trial.parameters[RATE]


def test_repeated_trials_lead_by_their_median(summary: Summary) -> None:
    first, second, third, *others = summary.ranked
    assert [len(trial.repeats) for trial in (first, second, third)] == [3, 3, 3]
    assert first.median <= second.median <= third.median
    assert first.median == sorted(repeat.quality for repeat in first.repeats)[1]
    assert not any(trial.repeats for trial in others)
    values = [trial.figures["ks_sum"] for trial in others]
    assert values == sorted(values)
    assert Path(first.best_checkpoint, "card.json").exists()


def test_cost_of_pruned_trials(summary: Summary) -> None:
    pruned = [trial for trial in summary.trials if trial.state == "pruned"]
    assert summary.saved_seconds == pytest.approx(sum(50 - trial.seconds for trial in pruned))
    assert summary.trial_seconds == pytest.approx(sum(trial.seconds for trial in summary.trials))


def test_importance_finds_the_rate(folder: str) -> None:
    shares = importance(summarise(folder))
    assert next(iter(shares)) == RATE
    assert shares[RATE] > 0.7
    assert sum(shares.values()) == pytest.approx(1)
    assert "model.decoder.dropout" not in shares  # not every trial has it


def test_pruned_trials_are_compared_where_they_ended(summary: Summary) -> None:
    step, values = summary.comparable()
    reached = [100 if t.state == "complete" else t.curve[-1][0] for t in summary.trials]
    assert sum(r >= step for r in reached) == len(values) >= len(summary.trials) / 2
    assert sum(r > step for r in reached) < len(summary.trials) / 2
    for trial in summary.trials:
        if trial.name in values:
            assert values[trial.name] == min(ks for at, ks in trial.curve if at <= step)


def test_few_trials_tell_no_importance(tmp_path: Path) -> None:
    assert importance(summarise(finished_study(tmp_path, trials=3))) == {}


def test_survives_its_own_json(summary: Summary) -> None:
    assert Summary.model_validate(json.loads(summary.model_dump_json())) == summary


class TestPrefer:
    def test_quality_is_the_first_objective(self, tmp_path: Path) -> None:
        asked = 'objectives = ["c2st_auc", "ks_sum"]\nrepeats = { best = 2, seeds = 2 }'
        study = summarise(finished_study(tmp_path, asked))
        best, second, *others = study.ranked
        assert best.quality == best.figures["c2st_auc"]
        assert [len(best.repeats), len(second.repeats)] == [2, 2]
        assert best.median <= second.median
        values = [trial.figures["c2st_auc"] for trial in others]
        assert values == sorted(values)
        assert study.prefer([f"c2st_auc<={values[0]}", f"ks_sum<={best.figures['ks_sum']}"]) == best

    def test_picks_the_best_that_fulfils_it(self, tmp_path: Path) -> None:
        study = summarise(finished_study(tmp_path, 'objectives = ["ks_sum", "throughput"]'))
        assert study.prefer([]) == study.ranked[0]
        rates = sorted(trial.figures["throughput"] for trial in study.ranked)
        chosen = study.prefer([f"throughput >= {rates[20]}"])
        fast = [t for t in study.ranked if t.figures["throughput"] >= rates[20]]
        assert chosen.figures["ks_sum"] == min(trial.figures["ks_sum"] for trial in fast)
        assert set(study.front) <= {trial.name for trial in study.trials}
        with pytest.raises(ConfigError, match="no trial fulfils throughput>1e12"):
            study.prefer(["throughput>1e12"])

    @pytest.mark.parametrize(
        ("wish", "message"),
        [
            ("throughput>=1", "has not measured throughput but .*; it measures what"),
            ("beauty>=1", "write it as FIGURE>=NUMBER.*ks_sum, c2st_auc"),
            ("flops=1", "write it as"),
            ("flops<=many", "write it as"),
        ],
    )
    def test_wishes_that_cannot_be(self, summary: Summary, wish: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            summary.prefer([wish])


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no study, it lacks plan.json"):
        summarise(str(tmp_path))
    (tmp_path / "thesis.tex").touch()  # to be read it need not be a study's own folder
    with pytest.raises(ConfigError, match="no study, it lacks plan.json"):
        summarise(str(tmp_path))
    plan = StudyPlan(plan=small_plan(tmp_path), dataset="digest")
    SealedFolder(str(tmp_path), plan).write_plan()
    with pytest.raises(ResourceError, match="is gone"):
        summarise(str(tmp_path))
