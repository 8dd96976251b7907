"""Training on a real local Ray: interrupted, resumed, on two workers, streamed, diverging."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import ray
import torch
from ray.exceptions import ActorDiedError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
)

import mleg_ray
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint, environment
from mleg_ray.cluster.train import _fitted, _stream, run_name, tell_other_code, train, with_teacher
from mleg_ray.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ResourceError,
    TrainingDivergedError,
)
from mleg_ray.events import Events
from mleg_ray.run import RunConfig
from tests.checkpoints import small_checkpoint
from tests.dis_events import momenta
from tests.prepared import prepared_dataset
from tests.processes import running
from tests.recipes import small_run

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared_dataset(tmp_path_factory.mktemp("dataset"))


def weights(checkpoint: Checkpoint) -> torch.Tensor:
    return torch.cat([p.flatten() for p in checkpoint.model.parameters()])


@pytest.fixture(scope="module")
def undisturbed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    storage = str(tmp_path_factory.mktemp("undisturbed"))
    return train(small_run("fatgan-quick", *LONG), dataset, storage, name="whole")


# Long enough to be caught in the middle: seconds, with a snapshot every 100 steps.
LONG = ("training.steps=600", "selection.every=100", "selection.events=200")


def test_a_finished_run_of_other_code_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    now = environment()
    tell_other_code(now, now | {"torch": "9.9"})
    assert capsys.readouterr().err == ""
    tell_other_code(now | {"commit": "abc"}, now)
    told = " ".join(capsys.readouterr().err.split())
    assert f"was trained by mleg_ray {now['mleg_ray']}, commit abc; this is mleg_ray" in told


def test_checkpoint_tells_all_and_samples(undisturbed: Checkpoint, dataset: Dataset) -> None:
    card = undisturbed.card
    assert card.dataset.dataset_digest == dataset.digest
    assert card.train_events == dataset.rows("train")
    assert card.condition_range == {"beam_energy": (50.0, 50.0)}
    assert [entry["step"] for entry in card.history] == [100, 200, 300, 400, 500, 600]
    assert card.metrics["ks_sum"] == min(entry["ks_sum"] for entry in card.history)
    assert card.environment["mleg_ray"] == mleg_ray.__version__
    assert card.environment["ray"] == ray.__version__
    given = undisturbed.given(100)
    events = undisturbed.generate(given, generator=torch.Generator().manual_seed(1))
    assert momenta(events).shape == (100, 4)


def test_an_interrupt_stays_the_command_s(undisturbed: Checkpoint) -> None:
    assert "ray" not in getattr(signal.getsignal(signal.SIGINT), "__module__", "")


def test_finished_run_is_not_trained_again(
    undisturbed: Checkpoint, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = str(Path(undisturbed.uri).parents[2])
    monkeypatch.setattr("mleg_ray.cluster.train.ray_session", None)
    again = train(small_run("fatgan-quick", *LONG), dataset, storage, name="whole")
    assert torch.equal(weights(again), weights(undisturbed))


def test_run_that_died_after_its_last_step_is_completed(
    undisturbed: Checkpoint, dataset: Dataset, tmp_path: Path
) -> None:
    run_folder = Path(undisturbed.uri).parent
    shutil.copytree(run_folder, tmp_path / "runs" / "whole")
    shutil.rmtree(tmp_path / "runs" / "whole" / "checkpoint")
    half_saved = tmp_path / "runs" / "whole" / "checkpoint_2000-01-01_00-00-00.000001"
    half_saved.mkdir()
    (half_saved / "training_state.pt").touch()
    again = train(small_run("fatgan-quick", *LONG), dataset, str(tmp_path), name="whole")
    assert torch.equal(weights(again), weights(undisturbed))
    assert not half_saved.exists()
    assert len(list(half_saved.parent.glob("checkpoint_*/training_state.pt"))) == 2


class Failing:
    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def fit(self) -> None:
        raise ray.train.WorkerGroupError("failed", {0: self.failure})


def test_what_a_worker_died_of_comes_as_itself() -> None:
    lost, wrong = ActorDiedError(), DataError("shard 3: altered")
    for failure, cause in (
        (WorkerHealthCheckFailedError("a health check failed", lost), lost),
        (UserExceptionWithTraceback(wrong, "Traceback"), wrong),
    ):
        with pytest.raises(type(cause)) as caught:
            _fitted(Failing(failure))
        assert caught.value is cause
    with pytest.raises(ray.train.WorkerGroupError):
        _fitted(Failing(UserExceptionWithTraceback(ZeroDivisionError(), "Traceback")))


def kill_a_worker_after_the_first_checkpoint(run_folder: Path) -> None:
    while not list(run_folder.glob("checkpoint_*/training_state.pt")):
        time.sleep(0.05)
    worker = next(running(f"RAY_TMPDIR={os.environ['RAY_TMPDIR']}", "RayTrainWorker"), None)
    assert worker, "no training worker found to kill"
    os.kill(worker, signal.SIGKILL)


def test_killed_worker_resumes_to_the_same_weights(
    dataset: Dataset, undisturbed: Checkpoint, tmp_path: Path
) -> None:
    killer = threading.Thread(
        target=kill_a_worker_after_the_first_checkpoint, args=(tmp_path / "runs" / "killed",)
    )
    killer.start()
    resumed = train(small_run("fatgan-quick", *LONG), dataset, str(tmp_path), name="killed")
    killer.join()
    assert torch.equal(weights(resumed), weights(undisturbed))
    steps = [entry["step"] for entry in resumed.card.history]
    assert steps == [entry["step"] for entry in undisturbed.card.history]


DRIVER = """
import sys
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.train import train
from tests.recipes import small_run
from tests.cluster.test_train import LONG
train(small_run("fatgan-quick", *LONG), Dataset.open(sys.argv[1]), sys.argv[2], name="driver")
"""


@pytest.mark.slow
def test_killed_driver_resumes_to_the_same_weights(
    dataset: Dataset, undisturbed: Checkpoint, tmp_path: Path
) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, dataset.uri, str(tmp_path)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"},
    )
    folder = tmp_path / "runs" / "driver"
    while not list(folder.glob("checkpoint_*/training_state.pt")):
        assert driver.poll() is None
        time.sleep(0.1)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert not (folder / "checkpoint" / "card.json").exists()
    resumed = train(small_run("fatgan-quick", *LONG), dataset, str(tmp_path), name="driver")
    assert torch.equal(weights(resumed), weights(undisturbed))


def test_a_task_reads_several_shards_in_their_order(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = dataset.shards("train")[::-1]
    monkeypatch.setattr("mleg_ray.cluster.train.TASK_BYTES", 3 * 500 * 4 * 4)  # of three shards
    stream = _stream(dataset, shards)
    assert stream.materialize().num_blocks() == 3  # of eight
    read = [row["electron.px"] for row in stream.iter_rows()]
    expected = Events.concatenate(dataset.read(shards)).columns["electron.px"]
    assert read == expected.tolist()


@pytest.mark.slow
def test_a_streamed_run_that_is_killed_resumes_to_the_same_weights(
    dataset: Dataset, tmp_path: Path
) -> None:
    streamed = ("training.memory_budget=1", "training.chunk_events=700")
    run = small_run("fatgan-quick", *LONG, *streamed)
    whole = train(run, dataset, str(tmp_path), name="whole")
    killer = threading.Thread(
        target=kill_a_worker_after_the_first_checkpoint, args=(tmp_path / "runs" / "killed",)
    )
    killer.start()
    resumed = train(run, dataset, str(tmp_path), name="killed")
    killer.join()
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.slow
def test_two_workers_share_the_shards_streamed(dataset: Dataset, tmp_path: Path) -> None:
    run = small_run("bvae-dis", "training.memory_budget=1", "training.chunk_events=700")
    checkpoint = train(run, dataset, str(tmp_path), name="two", workers=2)
    assert checkpoint.card.train_events == dataset.rows("train")
    assert weights(checkpoint).isfinite().all()


def test_diverging_run_says_so(dataset: Dataset, tmp_path: Path) -> None:
    run = small_run("bvae-dis", "training.optimisers.autoencoder.learning_rate=1e30")
    with pytest.raises(TrainingDivergedError, match="lower the learning rates"):
        train(run, dataset, str(tmp_path), name="diverging")


class TestRefusals:
    """Each is told before any training begins."""

    def test_more_workers_than_cpus(self, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(ResourceError, match="CPUs"):
            train(small_run("bvae-dis"), dataset, str(tmp_path), name="x", workers=8)

    def test_more_workers_than_shards(self, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(ResourceError, match="9 workers need .* has 8"):
            train(small_run("bvae-dis"), dataset, str(tmp_path), name="x", workers=9)

    def test_truncated_shard(self, tmp_path: Path) -> None:
        dataset = prepared_dataset(tmp_path / "data")
        shard = tmp_path / "data" / dataset.shards("train")[3].file
        shard.write_bytes(shard.read_bytes()[:-100])
        with pytest.raises(DataError, match="00003.parquet: truncated or altered"):
            train(small_run("bvae-dis"), dataset, str(tmp_path), name="x")

    def test_altered_validation_shard(self, tmp_path: Path) -> None:
        dataset = prepared_dataset(tmp_path / "data")
        shard = tmp_path / "data" / dataset.shards("validation")[0].file
        shard.write_bytes(shard.read_bytes() + b" ")
        with pytest.raises(DataError, match="truncated or altered"):
            train(small_run("bvae-dis"), dataset, str(tmp_path), name="x")

    @pytest.mark.parametrize(
        ("recipe", "assignment", "message"),
        [
            ("fatgan-quick", "model.noise_dim=0", "model.noise_dim: 0 leaves the generator"),
            (
                "flow-photoproduction",
                "training.steps=1",
                "pion-pair: needs p.px.*; there are electron",
            ),
        ],
    )
    def test_model_that_cannot_be_built(
        self, dataset: Dataset, tmp_path: Path, recipe: str, assignment: str, message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            train(RunConfig.load(recipe, (assignment,)), dataset, str(tmp_path), name="x")
        assert not (tmp_path / "runs").exists()

    def test_unknown_observable(self, dataset: Dataset, tmp_path: Path) -> None:
        run = small_run("bvae-dis", 'selection.observables=["electron.px", "w2"]')
        with pytest.raises(ConfigError, match="no w2"):
            train(run, dataset, str(tmp_path), name="x")

    def test_storage_below_a_file(self, dataset: Dataset, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ResourceError, match="file"):
            train(small_run("bvae-dis"), dataset, str(tmp_path / "file"), name="x")


def test_folder_of_another_run_is_refused(
    undisturbed: Checkpoint, dataset: Dataset, tmp_path: Path
) -> None:
    storage = str(Path(undisturbed.uri).parents[2])
    run = small_run("fatgan-quick", *LONG)
    with pytest.raises(
        ConfigError, match=r"another run \(run.model.kind .*; choose another --name"
    ):
        train(small_run("bvae-dis"), dataset, storage, name="whole")
    with pytest.raises(ConfigError, match=r"another run \(workers is 1 there, 2 is asked for\)"):
        train(run, dataset, storage, name="whole", workers=2)
    with pytest.raises(ConfigError, match=r"another run \(dataset is "):
        train(run, prepared_dataset(tmp_path, shard_rows=100), storage, name="whole")


def test_run_name_depends_on_configuration_and_data(dataset: Dataset, tmp_path: Path) -> None:
    run = small_run("bvae-dis")
    other: RunConfig = small_run("bvae-dis", "training.seed=2")
    assert run_name("bvae-dis", run, dataset) == run_name("tuning/bvae-dis.toml", run, dataset)
    assert run_name("bvae-dis", run, dataset) != run_name("bvae-dis", other, dataset)
    smaller = prepared_dataset(tmp_path, shard_rows=100)
    assert run_name("bvae-dis", run, dataset) != run_name("bvae-dis", run, smaller)


def test_student_learns_from_a_flow(dataset: Dataset, tmp_path: Path) -> None:
    teacher = small_checkpoint(tmp_path / "teacher", recipe="flow-dis")
    run = small_run("student-dis", f"teacher={teacher.uri}")
    student = train(run, dataset, str(tmp_path), name="student")
    assert student.card.teacher_digest == teacher.digest
    assert student.run.teacher == teacher.uri
    events = student.generate(student.given(100), generator=torch.Generator().manual_seed(1))
    assert momenta(events).isfinite().all()


class TestTeacher:
    def test_that_was_not_trained(self, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(
            CheckpointError, match="`mleg train flow-dis --set dataset=.*` makes it"
        ):
            train(small_run("student-dis"), dataset, str(tmp_path), name="student")

    def test_that_is_nowhere(self, dataset: Dataset, tmp_path: Path) -> None:
        run = small_run("student-dis", "teacher=nowhere")
        with pytest.raises(CheckpointError, match="'nowhere' is neither a recipe nor"):
            train(run, dataset, str(tmp_path), name="student")

    def test_that_cannot_teach(self, dataset: Dataset, tmp_path: Path) -> None:
        autoencoder = small_checkpoint(tmp_path / "vae", recipe="avae-dis")
        run = small_run("student-dis", f"teacher={autoencoder.uri}")
        with pytest.raises(
            CheckpointError, match="kind 'alpha-vae' cannot teach; take a flow or a"
        ):
            train(run, dataset, str(tmp_path), name="student")
        assert not (tmp_path / "runs").exists()

    def test_of_other_noise_tells_the_student_what_to_take(
        self, undisturbed: Checkpoint, dataset: Dataset, tmp_path: Path
    ) -> None:
        run = small_run("student-dis", f"teacher={undisturbed.uri}")
        with pytest.raises(CheckpointError, match="set model.noise_dim = 4"):
            train(run, dataset, str(tmp_path), name="student")
        assert not (tmp_path / "runs").exists()
        run = small_run("student-dis", f"teacher={undisturbed.uri}", "model.noise_dim=4")
        assert with_teacher(run, dataset, str(tmp_path)).teacher == undisturbed.uri
