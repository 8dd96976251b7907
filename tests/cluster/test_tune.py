"""Studies on a real local Ray: killed, resumed, pruned, diverging, on several workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.tune import run_study
from mleg_ray.errors import ConfigError, ResourceError, TrainingDivergedError
from mleg_ray.study.ledger import load
from mleg_ray.study.summary import Summary
from mleg_ray.training.trainee import Trainee
from tests.prepared import prepared_dataset
from tests.processes import running
from tests.study.plans import small_plan

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(600)]

RATE = "training.optimisers.autoencoder.learning_rate"
# One good point, one that diverges at once, and one that must be pruned: it hardly learns.
POINTS = f"""
pruning = {{ kind = "median", startup = 3, first = 10 }}
repeats = {{ best = 1, seeds = 2 }}
search = {{ kind = "random" }}
points = [
    {{ "{RATE}" = 1e-2 }}, {{ "{RATE}" = 1e30 }}, {{ "{RATE}" = 5e-3 }}, {{ "{RATE}" = 1e-12 }},
]
"""
SPACE = f"""
"training.batch_size" = {{ kind = "int", low = 16, high = 64 }}
"{RATE}" = {{ kind = "log-uniform", low = 1e-12, high = 1e30 }}
"""
STEPS = ("training.steps=60", "selection.every=20")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def study(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("study")
    plan = small_plan(folder, POINTS + "cpus = 4", space=SPACE, trials=4, run=STEPS)
    return run_study(plan, dataset, str(folder), name="whole")


def test_trials_end_in_their_states(study: Summary) -> None:
    good, diverged, other, pruned = study.trials
    record = load(study.plan, study.folder)
    complete = TrialState.COMPLETE
    assert [t.state for t in record.trials] == [complete, complete, complete, TrialState.PRUNED]
    assert [good.ended, diverged.ended, other.ended] == ["steps", "diverged", "steps"]
    assert diverged.figures["ks_sum"] == 9  # nine observables at their worst
    assert diverged.checkpoint == ""
    assert pruned.step < 60
    assert record.trials[3].intermediate_values
    assert [step for step, _ in good.curve] == [20, 40, 60]
    assert good.figures["ks_sum"] == min(value for _, value in good.curve)
    assert good.figures["flops"] > 0
    assert good.figures["seconds"] > 0
    assert study.saved_seconds > 0


def test_ranking_is_by_the_median_of_the_repeats(study: Summary) -> None:
    best, *others = study.ranked
    assert len(best.repeats) == 2
    assert not any(trial.repeats for trial in others)
    assert best.best_checkpoint.split("/")[-2].startswith(f"{best.name}-seed")
    assert {trial.name for trial in study.ranked} == {"0000", "0002"}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A trial has one thread, and another number of them sums in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_trial_is_the_run_that_its_checkpoint_names(study: Summary, dataset: Dataset) -> None:
    checkpoint = Checkpoint.load(study.trials[0].checkpoint)
    alone = Trainee.alone(checkpoint.run, dataset, {}, torch.device("cpu"))
    list(alone.train())
    again = alone.best()
    assert again is not None
    for name, value in checkpoint.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_logs_and_no_leftovers(study: Summary) -> None:
    folder = Path(study.folder)
    assert list((folder / "tune" / "0000").glob("events.out.tfevents*"))
    assert not list(folder.glob("runs/*/training_state.pt"))


def test_finished_study_trains_nothing_again(study: Summary, dataset: Dataset) -> None:
    before = written(study)
    storage = str(Path(study.folder).parents[1])
    again = run_study(study.plan, dataset, storage, name="whole", resume=True)
    assert again == study
    assert written(study) == before


def written(study: Summary) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path(study.folder).glob("runs/**/*")}


DRIVER = """
import sys
from pathlib import Path
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.tune import run_study
from tests.cluster.test_tune import long_plan
run_study(long_plan(Path(sys.argv[2])), Dataset.open(sys.argv[1]), sys.argv[2], name="driver")
"""


def long_plan(folder: Path):
    """Return a plan of two trials after one another, long enough to be caught in the second."""
    points = f'points = [{{ "{RATE}" = 1e-3 }}, {{ "{RATE}" = 1e-2 }}]\n'
    steps = ("training.steps=2000", "selection.every=100")
    return small_plan(folder, points + "cpus = 4", trials=2, run=steps)


def test_killed_driver_loses_one_interval_at_most(dataset: Dataset, tmp_path: Path) -> None:
    # A Ray of its own with four CPUs, that dies with its driver.
    own = ("MLEG_TEST_DRIVER", str(tmp_path))
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | dict([own])
    script = f"import ray\nray.init(num_cpus=4, include_dashboard=False)\n{DRIVER}"
    driver = subprocess.Popen(
        [sys.executable, "-c", script, dataset.uri, str(tmp_path)],
        start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env=environment,
    )  # fmt: skip
    folder = tmp_path / "studies" / "driver"
    while not (folder / "runs" / "0001" / "training_state.pt").exists():
        assert driver.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    plan = long_plan(tmp_path)
    killed = load(plan, str(folder)).trials
    assert [trial.state for trial in killed] == [TrialState.COMPLETE, TrialState.RUNNING]
    reported = max(killed[1].intermediate_values, default=0)
    first = (folder / "runs" / "0000" / "checkpoint" / "card.json").stat().st_mtime_ns
    while any(running("=".join(own))):  # the workers notice that their driver is gone
        time.sleep(0.1)
    state = torch.load(folder / "runs" / "0001" / "training_state.pt", weights_only=True)
    assert state["loop"]["step"] >= reported

    summary = run_study(plan, dataset, str(tmp_path), name="driver", resume=True)
    assert [trial.state for trial in summary.trials] == ["complete", "complete"]
    card = folder / "runs" / "0000" / "checkpoint" / "card.json"
    assert card.stat().st_mtime_ns == first
    history = Checkpoint.load(summary.trials[1].checkpoint).card.history
    assert [entry["step"] for entry in history] == list(range(100, 2001, 100))
    # What was judged before the kill was not judged again.
    kept = state["selector"]["history"]
    assert [entry["seconds"] for entry in history[: len(kept)]] == [s["seconds"] for s in kept]


@pytest.mark.slow
def test_several_objectives_have_a_front(dataset: Dataset, tmp_path: Path) -> None:
    objectives = 'objectives = ["ks_sum", "flops", "throughput", "c2st_auc"]'
    study = objectives + '\nsearch = { kind = "nsga-ii" }\n'
    space = '"model.decoder.widths" = { kind = "choice", values = [[8], [64, 64]] }'
    points = 'points = [{ "model.decoder.widths" = [8] }, { "model.decoder.widths" = [64, 64] }]'
    plan = small_plan(tmp_path, study + points, space=space, trials=2)
    summary = run_study(plan, dataset, str(tmp_path), name="front")
    small, large = summary.trials
    assert small.figures["flops"] < large.figures["flops"]
    assert small.curve
    assert all(0.5 < trial.figures["c2st_auc"] <= 1 for trial in (small, large))
    assert small.name in summary.front
    assert summary.prefer([f"flops<={small.figures['flops']}"]) == small
    assert summary.prefer([f"flops>{small.figures['flops']}", "throughput>=1"]) == large
    with pytest.raises(ConfigError, match="no trial fulfils"):
        summary.prefer(["throughput>=1e12"])


@pytest.mark.slow
def test_population_hands_weights_on(dataset: Dataset, tmp_path: Path) -> None:
    study = 'pruning = { kind = "pbt", every = 20 }\ncpus = 2\npoints = [\n'
    study += "".join(f'{{ "{RATE}" = {rate} }},\n' for rate in (1e-2, 1e-12, 5e-3, 2e-3)) + "]"
    space = f'"{RATE}" = {{ kind = "log-uniform", low = 1e-12, high = 1e-1 }}'
    plan = small_plan(tmp_path, study, space=space, trials=4, run=STEPS)
    summary = run_study(plan, dataset, str(tmp_path), name="population")
    assert {trial.state for trial in summary.trials} == {"complete"}
    by_name = {trial.name: trial for trial in summary.trials}
    handed = [
        trial
        for trial in summary.trials
        if trial.parent and trial.parameters != by_name[trial.parent].parameters
    ]
    assert handed
    for trial in handed:
        own, parent = (
            Checkpoint.load(place.checkpoint).card.history
            for place in (trial, by_name[trial.parent])
        )
        assert own[: len(parent)] == parent
        assert own[len(parent)]["step"] == parent[-1]["step"] + 20
    assert summary.ranked[0].figures["ks_sum"] < by_name["0001"].figures["ks_sum"]
    assert not list(tmp_path.rglob("training_state.pt"))


@pytest.mark.slow
def test_trials_of_two_workers_train_on_ray_train(dataset: Dataset, tmp_path: Path) -> None:
    plan = small_plan(tmp_path, "workers = 2", trials=1)
    summary = run_study(plan, dataset, str(tmp_path), name="two")
    [trial] = summary.trials
    assert trial.state == "complete"
    assert Checkpoint.load(trial.checkpoint).card.train_events == dataset.rows("train")


class TestRefusals:
    """Nothing is left behind, and nothing waits for ever."""

    @pytest.mark.parametrize("asked", ["cpus = 64", "gpus = 1", "gpus = 0.5"])
    def test_more_than_any_node_has(self, dataset: Dataset, tmp_path: Path, asked: str) -> None:
        with pytest.raises(ResourceError, match="no node has as many .*4 CPUs and 0 GPUs"):
            run_study(small_plan(tmp_path, asked), dataset, str(tmp_path), name="x")
        assert not (tmp_path / "studies" / "x").exists()

    def test_unknown_observable(self, dataset: Dataset, tmp_path: Path) -> None:
        plan = small_plan(tmp_path, run=('selection.observables=["electron.px", "w2"]',))
        with pytest.raises(ConfigError, match="no w2"):
            run_study(plan, dataset, str(tmp_path), name="x")

    def test_model_that_cannot_be_built(self, dataset: Dataset, tmp_path: Path) -> None:
        plan = small_plan(tmp_path, run=('features.steps=[{ kind = "pion-pair" }]',))
        with pytest.raises(ConfigError, match="pion-pair: needs p.px.*; there are electron.px"):
            run_study(plan, dataset, str(tmp_path), name="x")

    def test_name(self, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="--name"):
            run_study(small_plan(tmp_path), dataset, str(tmp_path), name="../x")

    def test_time_too_short_for_one_judgement(self, dataset: Dataset, tmp_path: Path) -> None:
        plan = small_plan(tmp_path, "seconds = 0.01", trials=1)
        with pytest.raises(ConfigError, match="no trial was judged within 0.01 s"):
            run_study(plan, dataset, str(tmp_path), name="x")
        record = load(plan, str(tmp_path / "studies" / "x"))
        assert all(trial.state.is_finished() for trial in record.trials)

    def test_all_diverge(self, dataset: Dataset, tmp_path: Path) -> None:
        space = f'"{RATE}" = {{ kind = "choice", values = [1e30] }}'
        with pytest.raises(TrainingDivergedError, match="1 diverged.*lower learning rates"):
            run_study(small_plan(tmp_path, space=space, trials=1), dataset, str(tmp_path), name="x")
