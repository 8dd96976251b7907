"""Training on Ray: Ray Data streams the train shards to Ray Train's workers, which run the loop."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import ray
import ray.data
import ray.train
import ray.train.torch

from mleg_ray.catalog.codec import bytes_of
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.checkpoint import CARD, CHECKPOINT, Checkpoint, run_uri
from mleg_ray.cluster.board import Board
from mleg_ray.cluster.session import (
    LOST,
    environment,
    node_kinds,
    possible_cpus,
    possible_gpus,
    ray_session,
    require_cpus,
)
from mleg_ray.cluster.train_worker import Task, work
from mleg_ray.console import say
from mleg_ray.errors import (
    CheckpointError,
    ConfigError,
    ResourceError,
    TrainingDivergedError,
    UserError,
)
from mleg_ray.features import FeatureMap
from mleg_ray.folder import FolderPlan, SealedFolder
from mleg_ray.memory import MIB
from mleg_ray.models import Model
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, exists, join, matching, remove_folder, sha256
from mleg_ray.training.collapse import signs_of_collapse
from mleg_ray.training.selection import SnapshotSelector
from mleg_ray.training.share import fitted_map, mixed_shards
from mleg_ray.training.trainee import other_snapshots

SNAPSHOTS = "snapshots"  # the folder, in that of a run, of those that are not the best
TASK_BYTES = 32 * MIB  # of events, as they are stored, that one task reads
MAX_THREADS = 8  # of one CPU worker: more do not speed up minibatches of this size


def run_name(recipe: str, run: RunConfig, dataset: Dataset) -> str:
    """Return the default name of a run: equal configuration and data give the same name."""
    return f"{Path(recipe).stem}-{sha256((run.digest() + dataset.digest).encode())[:8]}"


def train(
    run: RunConfig,
    dataset: Dataset,
    storage: str,
    *,
    name: str,
    workers: int = 1,
    callbacks: Sequence[Any] = (),  # Ray has no public type for them
) -> Checkpoint:
    """Train a recipe and return its best snapshot, kept in `<storage>/runs/<name>/checkpoint`.

    If the run keeps several, the others are checkpoints in `<storage>/runs/<name>/snapshots/STEP`.
    The same call again continues an interrupted run, or returns a finished one at once. Workers
    take a GPU each if the cluster has enough of them. `callbacks` are Ray Train's.

    Raises:
        UserError: the model cannot be built for the dataset, shards damaged, not enough CPUs or
            shards for the workers, storage not writable.
        TrainingDivergedError: not a single snapshot was finite.
    """
    require_name(name)
    dataset = dataset.selecting(run.where)
    run = with_teacher(run, dataset, storage)
    plan = RunPlan(run=run, dataset=dataset.digest, workers=workers)
    folder = SealedFolder(run_uri(storage, name), plan)
    folder.require_own()
    kept = join(folder.uri, CHECKPOINT)
    if exists(join(kept, CARD)):
        checkpoint = Checkpoint.load(kept)
        say(f"Run {name} is finished already.")
        tell_other_code(checkpoint.card.environment, environment())
        return checkpoint
    unfitted_model(run, dataset)  # refuses what cannot be built now, not inside a worker
    shards = mixed_shards(dataset, run.training.seed)
    if workers > len(shards):
        raise ResourceError(
            f"{workers} workers need at least as many train shards; {dataset.uri} has "
            f"{len(shards)}. Use --workers {len(shards)} or fewer, or smaller shards."
        )
    SnapshotSelector(run, dataset)  # refuses unknown observables and damaged shards now
    feature_map, ranges = fitted_map(run, dataset)
    tell_outside(feature_map)
    parts = [shards[rank::workers] for rank in range(workers)]
    with folder.work(), ray_session():
        largest = max(cpus for cpus, _ in node_kinds())
        share = min(MAX_THREADS, largest, max(1, (possible_cpus() - 1) // workers))
        threads = run.training.threads or share
        # One spare: Ray Data's reading tasks wait for ever without it.
        require_cpus(threads * workers + 1)
        board = Board()
        task = Task(
            run=run.model_dump(mode="json"),
            dataset_uri=dataset.uri,
            feature_map=dict(feature_map.state_dict()),
            rows=[dataset.rows_of(part) for part in parts],
            condition_range=ranges,
            threads=threads,
            environment=environment(),
            board=board,
        )
        trainer = reading_trainer(
            work,
            task,
            dataset,
            parts,
            ray.train.RunConfig(
                name=name,
                storage_path=join(storage, "runs"),
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
                failure_config=ray.train.FailureConfig(max_failures=3),
                callbacks=list(callbacks),
            ),
            threads=threads,
        )
        with board.shown("training", run.training.steps):
            result = _fitted(trainer)
        return _keep(folder.uri, result, kept)


class _Trainer(ray.train.torch.TorchTrainer):
    def _register_sigint_handler(self, controller: object) -> None:
        """Leave an interrupt to the command: Ray's own handler would end it without a word."""


def reading_trainer(
    loop: Callable[[dict[str, Any]], None],
    task: object,
    dataset: Dataset,
    parts: Sequence[list[ShardEntry]],
    run: ray.train.RunConfig,
    *,
    threads: int,
) -> _Trainer:
    """Return what runs a loop, given `{"task": task}`, on a worker for each part of the shards.

    The loop reads the events of its worker by `train_worker.own_events`.
    """
    return _Trainer(
        loop,
        train_loop_config={"task": task},
        scaling_config=ray.train.ScalingConfig(
            num_workers=len(parts),
            use_gpu=possible_gpus() >= len(parts),
            resources_per_worker={"CPU": threads},
        ),
        # One dataset a worker, of its own files: deterministic, and no event is dropped to make
        # shares equal, as Ray's own splitting would.
        datasets={f"train-{rank}": _stream(dataset, part) for rank, part in enumerate(parts)},
        dataset_config=ray.train.DataConfig(datasets_to_split=[]),
        run_config=run,
    )


def _fitted(trainer: _Trainer) -> ray.train.Result:
    """Return what comes of a training; what was lost or wrong comes without Ray's wrapping."""
    try:
        return trainer.fit()
    except ray.train.WorkerGroupError as error:
        for failure in error.worker_failures.values():
            for name in ("health_check_failure", "_base_exc"):  # of a lost worker; what it raised
                if isinstance(cause := getattr(failure, name, None), (*LOST, UserError)):
                    raise cause from error
        raise


def require_name(name: str) -> None:
    """Raise `ConfigError` unless the name of a run or study can be that of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(
            f"--name {name!r}: letters, digits, '.', '_' and '-' only, a letter or digit first"
        )


def with_teacher(run: RunConfig, dataset: Dataset, storage: str) -> RunConfig:
    """Return the run with the place of its teacher, if it has one, in place of the recipe's name.

    Raises:
        CheckpointError: the teacher is not there, of another kind of events, or cannot teach.
    """
    if run.teacher is None:
        return run
    return run.model_copy(update={"teacher": _teacher(run, dataset, storage)})


def unfitted_model(run: RunConfig, dataset: Dataset) -> Model:
    """Build a run's model for a dataset of which no event was looked at.

    Raises:
        ConfigError: the feature map does not fit the fields, or the model not the features.
    """
    return run.build_model(run.features.build(dataset.schema, dataset.manifest.conditions))


class RunPlan(FolderPlan):
    """What a run's folder is for."""

    MEND = "choose another --name"

    kind: Literal["run"] = "run"
    format_version: Literal[1] = 1
    run: RunConfig
    dataset: str
    workers: int


def teacher_recipe(run: RunConfig) -> RunConfig | None:
    """Return what a run's teacher is trained by, None if there is none or it is a checkpoint.

    Raises:
        CheckpointError: the teacher is neither a recipe nor a checkpoint.
    """
    if run.teacher is None or exists(join(absolute(run.teacher), CARD)):
        return None
    try:
        return RunConfig.load(run.teacher, as_teacher(run))
    except ConfigError:
        raise CheckpointError(
            f"teacher: {run.teacher!r} is neither a recipe nor the directory of a checkpoint"
        ) from None


def as_teacher(run: RunConfig) -> tuple[str, ...]:
    """Return the assignments to its teacher's recipe: both have one dataset, if they may."""
    return () if run.objective.traits.teacher_has_own_dataset else (f"dataset={run.dataset}",)


def _teacher(run: RunConfig, dataset: Dataset, storage: str) -> str:
    """Return the place of a run's teacher, whose noise and events are known to be the student's.

    Raises:
        CheckpointError: it is not there, of another kind of events or noise, or cannot teach.
    """
    teacher = run.teacher
    assert teacher is not None
    uri = absolute(teacher)
    if there := teacher_recipe(run):
        its = Dataset.prepared(storage, there.dataset) if there.dataset != run.dataset else dataset
        uri = join(run_uri(storage, run_name(teacher, there, its)), CHECKPOINT)
        if not exists(join(uri, CARD)):
            others = matching(join(run_uri(storage, f"{Path(teacher).stem}-*"), CHECKPOINT, CARD))
            found = ", ".join(place.removesuffix(f"/{CARD}") for place in others)
            raise CheckpointError(
                f"teacher: {uri} is not there; `mleg train {teacher} --set dataset={there.dataset}`"
                " makes it; or name the directory of a run with other settings by "
                f"--set teacher=DIRECTORY; there {'are ' + found if found else 'is none'}"
            )
    checkpoint = Checkpoint.load(uri)
    model = unfitted_model(run, dataset)
    try:
        run.objective.require_teacher(checkpoint, dataset.schema, model.noise_space)
    except ConfigError as error:
        raise CheckpointError(f"{uri}: {error}") from None
    return uri


def _stream(dataset: Dataset, shards: list[ShardEntry]) -> ray.data.Dataset:
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True  # a resumed run must see the same order
    # The newer reader starts 32 processes for the files' footers, and again at every pass.
    context.use_datasource_v2 = False
    context.enable_progress_bars = False  # the training has its own
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    stored = bytes_of(dataset.manifest.stored) * sum(shard.rows for shard in shards)
    # A task takes longer than a small shard: by itself Ray Data has several for each.
    tasks = min(len(shards), -(-stored // TASK_BYTES))
    places = [join(dataset.uri, shard.file) for shard in shards]
    return ray.data.read_parquet(places, override_num_blocks=max(1, tasks))


def tell_other_code(trained: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Say if a run was trained by other code than this: the same recipe may mean another model."""
    before, after = (
        f"mleg_ray {made['mleg_ray']}, commit {made['commit']}" for made in (trained, now)
    )
    if before != after:
        say(f"warning: it was trained by {before}; this is {after}", style="yellow")


def tell_outside(feature_map: FeatureMap) -> None:
    """Say how many train events a fitted map had to move, if any."""
    share = float(feature_map.outside_fraction)
    if share > 0:
        say(
            f"{share:.3%} of the train events lie outside the feature map's domain and are "
            "mirrored or moved to its edge; the truth that samples are judged by keeps them."
        )


def _keep(folder: str, result: ray.train.Result, kept: str) -> Checkpoint:
    metrics = result.metrics or {}
    if metrics.get("best_step") is None:
        raise TrainingDivergedError(
            f"{folder}: losses or weights became NaN or infinite before the first good snapshot; "
            "lower the learning rates or raise the gradient penalty"
        )
    if metrics["ended"] == "diverged":
        say(
            f"Training diverged by step {metrics['step']}; the best snapshot, of step "
            f"{metrics['best_step']}, is kept."
        )
    assert result.checkpoint is not None
    # Ray gives paths without their scheme: rebuild the URI from the run's own.
    last = PurePosixPath(result.checkpoint.path).name
    checkpoint = Checkpoint.load(join(folder, last, CHECKPOINT))
    for sign in signs_of_collapse(checkpoint.card.history, checkpoint.card.step):
        say(f"warning: {sign}")
    for snapshot in other_snapshots(join(folder, last), checkpoint):
        snapshot.save(join(folder, SNAPSHOTS, f"{snapshot.card.step:08d}"))
    # What was saved as its worker or driver was killed, Ray does not know of.
    known = {PurePosixPath(saved.path).name for saved, _ in result.best_checkpoints or ()}
    for place in matching(join(folder, "checkpoint_*")):
        if PurePosixPath(place).name not in known:
            remove_folder(place)
    checkpoint.save(kept)  # the last, so that a run which has it is whole
    return checkpoint
