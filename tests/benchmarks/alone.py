"""Training, studies, sampling and preparing in this process: Ray's workers take long to start.

Ray's part, and the pictures of reports, are left out; they have tests of their own.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster import folder, sample, trial, tune
from mleg_ray.cluster.trial import run_trial
from mleg_ray.commands import judging
from mleg_ray.run import RunConfig
from mleg_ray.sampling.job import SampleJob
from mleg_ray.sampling.plan import SampledShard, ShardPlan
from mleg_ray.storage import join
from mleg_ray.study.plan import Jobs
from mleg_ray.training.trainee import Trainee


class Trainer:
    """Trains as `mleg_ray.cluster.train` has Ray Train do it."""

    def __init__(self, work: object, train_loop_config: Any, run_config: Any, **_: object) -> None:
        self._task = train_loop_config["task"]
        self._folder = join(run_config.storage_path, run_config.name, "alone")

    def fit(self) -> SimpleNamespace:
        run = RunConfig.model_validate(self._task.run)
        dataset = Dataset.open(self._task.dataset_uri)
        cpu = torch.device("cpu")
        trainee = Trainee.alone(run, dataset, self._task.environment, cpu)
        for moment in trainee.train():
            if moment.snapshot is not None:
                trainee.save(self._folder)
                metrics = trainee.metrics(moment)
        saved = SimpleNamespace(path=self._folder)
        return SimpleNamespace(
            metrics=metrics, checkpoint=saved, best_checkpoints=[(saved, metrics)]
        )


class Pool:
    """Makes the shards of a sample."""

    workers, retries = 1, 0

    def __init__(self, job: SampleJob, *_: object) -> None:
        self._sampler = job.sampler

    def make(self, shards: Sequence[ShardPlan]) -> Iterator[SampledShard]:
        for shard in shards:
            yield self._sampler.write(shard, self._sampler.generate(shard))


class Engine:
    """Runs the trials of a study one after another."""

    def __init__(self, folder: str, surroundings: trial.Surroundings, asked: object) -> None:
        self._surroundings = surroundings

    def run(
        self, jobs: Jobs, title: str, seconds: float | None = None, before: object = ()
    ) -> None:
        started = time.monotonic()
        while not seconds or time.monotonic() - started < seconds:
            job = jobs.ask()
            if job is None:
                return
            reports: list[dict[str, Any]] = []
            config = {"name": job.name, "run": job.run.model_dump(mode="json"), "parent": ""}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(trial.tune, "report", reports.append)
                run_trial(config, self._surroundings)
            jobs.finish(job, reports[-1])


def in_parallel(title: str, make: Callable[[Any], Any], items: Sequence[object]) -> Iterator[Any]:
    return map(make, items)


def without_workers(patch: pytest.MonkeyPatch) -> None:
    """Do here what Ray's workers would do, and draw no pictures."""
    patch.setattr("mleg_ray.cluster.train._Trainer", Trainer)
    patch.setattr("mleg_ray.cluster.train._stream", lambda *_: None)
    patch.setattr(sample, "_pool", Pool)
    patch.setattr(tune, "_Engine", Engine)
    patch.setattr(judging, "write_report", lambda *_: None)
    patch.setattr(folder, "in_parallel", in_parallel)
