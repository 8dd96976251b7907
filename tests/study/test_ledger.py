"""The record of a study: every trial ends in the right state, and a killed study goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from mleg_ray.errors import ConfigError, DataError, ResourceError
from mleg_ray.folder import PLAN
from mleg_ray.storage import remove_folder, sizes, write_bytes
from mleg_ray.study.ledger import JOURNAL, Ledger, Repeats, best_trials, load
from mleg_ray.study.plan import Job, Plan
from tests.study.plans import begun, small_plan

MEDIAN = 'pruning = { kind = "median", startup = 2 }'


def started(plan: Plan, folder: Path | str, *, resume: bool = False) -> Ledger:
    return Ledger(plan, begun(plan, str(folder), resume=resume))


def result(step: int, ks_sum: float, ended: str = "") -> dict[str, Any]:
    costs = {"best": ks_sum, "best_step": step, "seconds": 1.0, "flops": 10.0}
    return {"step": step, "ks_sum": ks_sum, "ended": ended} | costs


def complete(ledger: Ledger, value: float) -> Job:
    job = ledger.ask()
    assert job
    for step in (10, 20):
        assert not ledger.observe(job, result(step, value, "steps" if step == 20 else ""))
    ledger.finish(job, result(20, value, "steps"))
    return job


def states(folder: Path | str, plan: Plan) -> list[TrialState]:
    """Read the storage anew, as a dashboard would."""
    return [trial.state for trial in load(plan, str(folder)).get_trials()]


@pytest.fixture(params=["journal", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = "" if request.param == "journal" else f'storage = "sqlite:///{tmp_path}/study.db"\n'
    return url


def test_trials_end_in_their_states(tmp_path: Path, storage: str) -> None:
    plan = small_plan(tmp_path, storage + MEDIAN, trials=5)
    folder = tmp_path / "study"
    ledger = started(plan, folder)
    complete(ledger, 1.0)
    complete(ledger, 2.0)
    pruned, failed, late = ledger.ask(), ledger.ask(), ledger.ask()
    assert pruned
    assert failed
    assert late
    assert ledger.ask() is None
    assert ledger.observe(pruned, result(10, 5.0))
    ledger.finish(pruned, result(10, 5.0))
    ledger.fail(failed)
    assert not ledger.observe(late, result(10, 0.5))
    ledger.close()
    assert states(folder, plan) == [
        *[TrialState.COMPLETE] * 2,
        *(TrialState.PRUNED, TrialState.FAIL, TrialState.PRUNED),
    ]
    record = load(plan, str(folder))
    assert record.best_value == 1.0  # and not the 0.5 of a short budget
    assert record.trials[2].intermediate_values == {10: 5.0}
    assert record.trials[0].intermediate_values == {10: 1.0, 20: 1.0}
    assert record.trials[0].user_attrs["ended"] == "steps"


def test_last_snapshot_is_never_pruned(tmp_path: Path) -> None:
    ledger = started(small_plan(tmp_path, MEDIAN, trials=3), tmp_path / "study")
    complete(ledger, 1.0)
    complete(ledger, 1.0)
    complete(ledger, 0.5)
    assert best_trials(ledger.study)[0].value == 0.5


def test_asha_lets_the_best_third_go_on(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, 'pruning = { kind = "asha", first = 10 }', trials=9)
    ledger = started(plan, tmp_path / "study")
    kept = []
    for value in (5, 1, 6, 7, 8, 2, 9, 10, 11):
        job = ledger.ask()
        assert job
        if not ledger.observe(job, result(10, value)):
            kept.append(value)
    assert kept == [5, 1, 2]  # at the time each came


def test_a_snapshot_reported_twice_counts_once(tmp_path: Path) -> None:
    ledger = started(small_plan(tmp_path, MEDIAN), tmp_path / "study")
    job = ledger.ask()
    assert job
    ledger.observe(job, result(10, 1.0))
    ledger.observe(job, result(10, 1.0))
    assert ledger.study.trials[0].intermediate_values == {10: 1.0}


def test_killed_study_goes_on(tmp_path: Path, storage: str) -> None:
    plan = small_plan(tmp_path, storage, trials=3)
    folder = tmp_path / "study"
    first = started(plan, folder)
    done = complete(first, 1.0)
    half = first.ask()
    assert half
    first.observe(half, result(10, 2.0))
    # The driver dies here.
    second = started(plan, folder, resume=True)
    assert second.ask() == half
    third = second.ask()
    assert third
    assert third.name == "0002"
    assert third.run not in (done.run, half.run)
    assert second.ask() is None
    second.finish(half, result(20, 1.5, "steps"))
    second.finish(third, result(20, 1.5, "steps"))
    assert states(folder, plan) == [TrialState.COMPLETE] * 3


def test_resumed_study_may_be_extended(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    ledger = started(small_plan(tmp_path, trials=1), folder)
    complete(ledger, 1.0)
    assert ledger.ask() is None
    again = started(small_plan(tmp_path, trials=2), folder, resume=True)
    assert again.ask() is not None


def test_points_come_first(tmp_path: Path) -> None:
    points = 'points = [{ "training.batch_size" = 17 }, { "training.batch_size" = 18 }]'
    ledger = started(small_plan(tmp_path, points), tmp_path / "study")
    jobs = [ledger.ask(), ledger.ask()]
    assert [job.run.training.batch_size for job in jobs if job] == [17, 18]


def test_several_objectives(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, 'objectives = ["ks_sum", "flops"]', trials=3)
    ledger = started(plan, tmp_path / "study")
    for ks_sum, flops in ((1.0, 5.0), (2.0, 1.0), (3.0, 6.0)):
        job = ledger.ask()
        assert job
        assert not ledger.observe(job, result(10, ks_sum))
        ledger.finish(job, result(20, ks_sum, "steps") | {"flops": flops})
    assert ledger.study.metric_names == ["ks_sum", "flops"]
    assert [trial.values for trial in best_trials(ledger.study)] == [
        [1.0, 5.0],
        [2.0, 1.0],
        [3.0, 6.0],
    ]


class TestRefusals:
    def test_begun_already(self, tmp_path: Path) -> None:
        plan = small_plan(tmp_path)
        started(plan, tmp_path / "study")
        with pytest.raises(ConfigError, match="begun already; continue it with --resume"):
            started(plan, tmp_path / "study")

    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            ({"space": '"training.batch_size" = { kind = "int", low = 16, high = 65 }'}, "space"),
            ({"study": 'objectives = ["ks_sum", "seconds"]'}, "objectives"),
            ({"run": ("training.seed=7",)}, "run"),
        ],
    )
    def test_changed(self, tmp_path: Path, changed: dict[str, Any], what: str) -> None:
        folder = tmp_path / "study"
        complete(started(small_plan(tmp_path), folder), 1.0)
        before = (folder / JOURNAL).read_bytes()
        with pytest.raises(ConfigError, match=rf"holds another study \({what}\b"):
            started(small_plan(tmp_path, **changed), folder, resume=True)
        assert (folder / JOURNAL).read_bytes() == before

    def test_other_dataset(self, tmp_path: Path) -> None:
        plan = small_plan(tmp_path)
        started(plan, tmp_path / "study")
        with pytest.raises(ConfigError, match=r"\(dataset is digest there, other is asked for\)"):
            begun(plan, str(tmp_path / "study"), resume=True, dataset="other")

    @pytest.mark.parametrize("url", ["sqlite:////no/such/folder/x.db", "nonsense", "mysql://h/x"])
    def test_storage_unreachable(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(ResourceError, match="study.storage"):
            started(small_plan(tmp_path, f'storage = "{url}"'), tmp_path / "study")
        assert not (tmp_path / "study" / PLAN).exists()

    def test_record_gone(self, tmp_path: Path) -> None:
        plan = small_plan(tmp_path)
        started(plan, tmp_path / "study")
        (tmp_path / "study" / JOURNAL).unlink()
        with pytest.raises(ResourceError, match=r"journal.log: the record .* is gone"):
            started(plan, tmp_path / "study", resume=True)

    @pytest.mark.parametrize("line", ["{", "[1, 2]", '{"op_code": 99, "worker_id": "x"}'])
    def test_journal_damaged(self, tmp_path: Path, line: str) -> None:
        plan = small_plan(tmp_path)
        started(plan, tmp_path / "study")
        journal = tmp_path / "study" / JOURNAL
        first, rest = journal.read_text().split("\n", 1)
        journal.write_text("\n".join((first, line, rest)))
        with pytest.raises(DataError, match=r"journal.log: damaged \(.*put back a copy"):
            load(plan, str(tmp_path / "study"))


def test_repeats_are_of_the_best_with_other_seeds(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, "repeats = { best = 2, seeds = 2 }", trials=3)
    folder = tmp_path / "study"
    ledger = started(plan, folder)
    jobs = [complete(ledger, value) for value in (3.0, 1.0, 2.0)]
    repeats = Repeats(plan, ledger.study)
    asked = []
    while job := repeats.ask():
        asked.append(job)
    assert [job.name for job in asked] == ["0001-seed2", "0001-seed3", "0002-seed2", "0002-seed3"]
    assert [job.run.training.seed for job in asked] == [2, 3, 2, 3]
    training = jobs[1].run.training.model_copy(update={"seed": 2})
    assert asked[0].run == jobs[1].run.model_copy(update={"training": training})
    repeats.finish(asked[0], result(20, 1.5, "steps"))
    again = Repeats(plan, load(plan, str(folder)))
    assert [again.ask(), len(again)] == [asked[1], 2]


class TestObjectStore:
    """Any file system but the local one; here one in memory."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Iterator[str]:
        folder = f"memory://{tmp_path.name}/study"
        yield folder
        remove_folder(folder)

    def test_a_killed_study_goes_on(self, tmp_path: Path, folder: str) -> None:
        plan = small_plan(tmp_path, trials=3)
        ledger = started(plan, folder)
        complete(ledger, 1.0)
        running = ledger.ask()
        again = started(plan, folder, resume=True)  # with no word of the first to the store
        assert again.ask() == running
        complete(again, 2.0)
        assert again.ask() is None
        assert states(folder, plan) == [
            TrialState.COMPLETE,
            TrialState.RUNNING,
            TrialState.COMPLETE,
        ]

    def test_what_is_written_grows_as_the_lines_do(self, tmp_path: Path, folder: str) -> None:
        study = started(small_plan(tmp_path), folder).study
        with pytest.MonkeyPatch.context() as patch:
            written = []

            def count(uri: str, content: bytes) -> None:
                written.append(len(content))
                write_bytes(uri, content)

            patch.setattr("mleg_ray.study.ledger.write_bytes", count)
            for line in range(1000):
                study.set_user_attr(f"line {line:04d}", "x" * 20)
        assert len(written) == 1000
        assert max(written) == min(written) < 200
        assert sum(sizes(f"{folder}/journal").values()) > 1000 * min(written)

    def test_what_could_not_be_written_is_written_next(self, tmp_path: Path, folder: str) -> None:
        plan = small_plan(tmp_path)
        study = started(plan, folder).study
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mleg_ray.study.ledger.write_bytes", _refuse)
            with pytest.raises(ResourceError, match="full"):
                study.set_user_attr("first", 1)
        study.set_user_attr("second", 2)
        assert {"first": 1, "second": 2}.items() <= load(plan, folder).user_attrs.items()


def _refuse(uri: str, content: bytes) -> None:
    raise ResourceError(f"{uri}: the store is full")


def test_optunas_storage_opens_without_us(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    complete(started(plan, tmp_path / "study"), 1.0)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study" / JOURNAL))
    [summary] = optuna.get_all_study_summaries(optuna.storages.JournalStorage(backend))
    assert summary.study_name == "study"
    assert summary.n_trials == 1


def test_a_plan_of_other_objectives_than_the_record_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    plan = small_plan(tmp_path)
    complete(started(plan, folder), 1.0)
    other = small_plan(tmp_path, 'objectives = ["ks_sum", "flops"]')
    with pytest.raises(DataError, match=r"plan.json: altered: study.objectives are ks_sum, flops"):
        load(other, str(folder))
