"""What a full scorecard takes, and each of its classifiers alone: seconds and memory.

Correlated Gaussians with a few heavy tails stand for 17 mixed observables of Z → μμ events; the
generated sample is slightly off, so that the classifiers have something to learn.
"""

import itertools
import multiprocessing
import resource
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.common.options import Options
from benchmarks.common.results import Results, Row
from mleg_ray.commands.options import Events
from mleg_ray.evaluation import Scorecard, from_arrays, scorecard
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.c2st import classifications
from mleg_ray.evaluation.samples.sample import Axis, EventSample
from mleg_ray.evaluation.statistics.classifiers import TREES

STRETCH = 1.02  # of the generated sample's first number
CLASSIFIERS = (TREES, "MLP", "MLP, fields alone")


@dataclass(frozen=True, kw_only=True)
class Asked(Options):
    """The size of the samples."""

    events: Events = 100_000
    observables: Annotated[int, typer.Option(min=3)] = 17


def events(n: int, d: int, seed: int, stretch: float = 1.0) -> EventSample:
    """Return n events of d correlated observables; every third is exponential, a third derived."""
    mixing = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0]
    x = np.random.default_rng(seed).normal(size=(n, d)) @ (mixing * np.linspace(0.5, 2, d))
    x[:, 0] *= stretch
    x[:, ::3] = np.exp(x[:, ::3])
    axes = {f"x{i}": Axis(derived=i >= 2 * d // 3) for i in range(d)}
    return from_arrays(dict(zip(axes, x.T, strict=True)), axes=axes)


def judged(n: int, d: int) -> tuple[Scorecard, dict[str, float]]:
    """Return the scorecard and the seconds that each metric took."""
    samples = events(n, d, 1), events(n, d, 2, STRETCH)
    training = events(n, d, 3)
    begun: dict[str, float] = {}

    def progress(share: float, metric: str) -> None:
        begun.setdefault(metric, time.perf_counter())

    card = scorecard(*samples, training=training, progress=progress)
    steps = itertools.pairwise(begun.items())
    return card, {metric: end - start for (metric, start), (_, end) in steps}


def taught(classifier: str, n: int, d: int) -> Row:
    """Return the seconds that a classifier took, by clock and processor, and the memory."""
    comparison = Comparison(events(n, d, 1), events(n, d, 2, STRETCH), classifiers=(classifier,))
    start, busy = time.perf_counter(), time.process_time()
    classifications(comparison)
    seconds, of_processor = time.perf_counter() - start, time.process_time() - busy
    return {"seconds": seconds, "processor seconds": of_processor, "peak GB": peak()}


def peak() -> float:
    """Return the most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux


def measure(options: Asked, results: Results) -> None:
    """Teach each classifier in a new process; then judge once, and keep what each metric took."""
    n, observables = options.few(options.events, 500), options.few(options.observables, 3)
    labels = {"events": n, "observables": observables, "threads": torch.get_num_threads()}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for classifier in CLASSIFIERS:
            cost = pool.apply(taught, (classifier, n, observables))
            results.add({**labels, "classifier": classifier}, cost)
    card, seconds = judged(n, observables)
    for metric, spent in seconds.items():
        results.add({**labels, "metric": metric}, {"seconds": spent})
    results.add(labels, {"seconds": card.seconds, "peak GB": peak()})
