"""What a trained generator is worth, by classifiers, and what it costs to run."""

import statistics
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import DataError
from mleg_ray.evaluation.metrics.c2st import prepare_auc
from mleg_ray.evaluation.samples.datasets import from_events
from mleg_ray.evaluation.samples.sample import ordered
from mleg_ray.evaluation.statistics.classifiers import MINIMUM_EVENTS, classify
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from mleg_ray.events import Events
from mleg_ray.memory import MIB, AtOnce

EVENTS = AtOnce(256 * MIB, events=100_000)  # of features in single precision
ROUNDS = 3
COMPARED = 20_000  # events of each sample
TREES = "boosted trees"


def require_comparable_events(dataset: Dataset) -> None:
    """Raise `DataError` if the validation events are too few for `c2st_auc`."""
    if (rows := dataset.rows("validation")) < MINIMUM_EVENTS:
        raise DataError(
            f"{dataset.uri}: c2st_auc needs {MINIMUM_EVENTS} validation events, there are {rows}; "
            "prepare a larger dataset, or leave c2st_auc out of study.objectives"
        )


def c2st_auc(checkpoint: Checkpoint, dataset: Dataset) -> float:
    """Return the area under the ROC curve of boosted trees that tell generated from true events.

    0.5 if they cannot. Generated events have the conditions and weights of the validation events,
    and random numbers that are the same at every call. Values that are not finite are told apart
    with certainty, 1.
    """
    truth = dataset.load("validation", COMPARED)
    device = next(checkpoint.model.parameters()).device
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        generated = checkpoint.generate(truth.to(device), generator=generator).to("cpu")
    samples = (ordered(from_events(events, dataset.manifest)) for events in (truth, generated))
    rng = np.random.default_rng(0)
    try:
        found = classify(next(samples), next(samples), rng, [TREES])
    except NotComputableError:
        return 1.0
    test = found[TREES].test
    return prepare_auc(test.score)(test.truth, test.generated)


def throughput(checkpoint: Checkpoint, given: Events) -> float:
    """Return generated events a second, the median of `ROUNDS` after a warm-up.

    The conditions of `given` are used in turn for `EVENTS` on their device; the figure is of that
    device as it was loaded then.
    """
    events = EVENTS.of(checkpoint.feature_map.space.nbytes)
    given = given.repeat(-(-events // len(given)))[:events]
    device = given.weight.device
    rates = []
    for i in range(ROUNDS + 1):
        generator = torch.Generator(device).manual_seed(i)
        started = time.perf_counter()
        with torch.no_grad():
            checkpoint.generate(given, generator=generator).to("cpu")  # waits for the device
        rates.append(events / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def flops(checkpoint: Checkpoint, given: Events) -> float:
    """Return the floating-point operations of one event's matrix products.

    `given` are events with the conditions, on the model's device.
    """
    counter = FlopCounterMode(display=False)
    generator = torch.Generator(given.weight.device).manual_seed(0)
    with counter, torch.no_grad():
        checkpoint.generate(given, generator=generator)
    return counter.get_total_flops() / len(given)
