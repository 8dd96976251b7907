"""What runs inside each Ray Tune trial: one training, in its process or on Ray Train's workers."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint, run_uri
from mleg_ray.cluster.train import train
from mleg_ray.config import parse
from mleg_ray.errors import TrainingDivergedError
from mleg_ray.run import RunConfig
from mleg_ray.study.measures import c2st_auc, flops, throughput
from mleg_ray.training.trainee import Trainee

CONTEXTS = 1000  # conditions of validation events, under which costs are measured


@dataclass(frozen=True)
class Surroundings:
    """What all trials of a study are told; their folders are `<folder>/runs/<name>`."""

    folder: str
    dataset_uri: str
    environment: dict[str, str]
    threads: int
    workers: int
    on_gpu: bool
    objectives: tuple[str, ...]


def run_trial(config: dict[str, Any], surroundings: Surroundings) -> None:
    """Train one point, reporting to Tune every `selection.every` steps.

    The trial's folder holds what a later attempt needs to go on from the last report; the first one
    begins with the state of its parent, if it has one.
    """
    torch.set_num_threads(surroundings.threads)
    run, name = parse(RunConfig, config["run"], config["name"]), config["name"]
    dataset = Dataset.open(surroundings.dataset_uri).selecting(run.where)
    if surroundings.workers > 1:
        _train_on_workers(run, name, dataset, surroundings)
        return
    device = torch.device("cuda" if surroundings.on_gpu else "cpu")
    folder = run_uri(surroundings.folder, name)
    trainee = Trainee.alone(run, dataset, surroundings.environment, device)
    parent = config["parent"]
    trainee.resume(folder, *([run_uri(surroundings.folder, parent)] if parent else []))
    for moment in trainee.train():
        if moment.snapshot is None:
            continue
        trainee.save(folder)
        metrics = trainee.metrics(moment)
        if moment.ended:
            metrics |= _measures(trainee.best(), dataset, surroundings)
        tune.report(metrics)


def _train_on_workers(
    run: RunConfig, name: str, dataset: Dataset, surroundings: Surroundings
) -> None:
    callback = TuneReportCallback()  # type: ignore[no-untyped-call]
    threads = run.training.model_copy(update={"threads": surroundings.threads})
    run = run.model_copy(update={"training": threads})
    try:
        checkpoint = train(
            run,
            dataset,
            surroundings.folder,
            name=name,
            workers=surroundings.workers,
            callbacks=[callback],
        )
    except TrainingDivergedError:
        worst = float(len(run.selection.observables))
        last = {"step": 0, "ks_sum": worst, "best": worst, "seconds": 0.0, "ended": "diverged"}
        tune.report(last | _measures(None, dataset, surroundings))
        return
    history, best = checkpoint.card.history, checkpoint.card.metrics["ks_sum"]
    last = {
        "step": int(history[-1]["step"]),
        "ks_sum": history[-1]["ks_sum"],
        "best": best,
        "best_step": checkpoint.card.step,
        "seconds": checkpoint.card.seconds,
        "ended": "steps",
    }
    tune.report(last | _measures(checkpoint, dataset, surroundings))


def _measures(
    checkpoint: Checkpoint | None, dataset: Dataset, surroundings: Surroundings
) -> dict[str, float]:
    """Return what is asked of the generator; one that diverged at once is the worst of all."""
    if checkpoint is None:
        return {"flops": math.inf, "throughput": 0.0, "c2st_auc": 1.0}
    device = next(checkpoint.model.parameters()).device
    given = dataset.load("validation", CONTEXTS).to(device)
    measures = {"flops": flops(checkpoint, given)}
    if "throughput" in surroundings.objectives:
        measures["throughput"] = throughput(checkpoint, given)
    if "c2st_auc" in surroundings.objectives:
        measures["c2st_auc"] = c2st_auc(checkpoint, dataset)
    return measures
