"""What a full scorecard costs: seconds by metric and peak memory.

Correlated Gaussians with a few heavy tails stand for 17 mixed observables of Z → μμ events; the
generated sample is slightly off, so that the classifiers have something to learn.

    python benchmarks/evaluate.py --events 100000 --observables 17
"""

import argparse
import resource
import time

import numpy as np
import torch
from common.results import keep

from mleg_ray.evaluation import METRICS, Scorecard, from_arrays, scorecard
from mleg_ray.evaluation.sample import Axis, Sample


def events(n: int, d: int, seed: int, stretch: float = 1.0) -> Sample:
    """Return n events of d correlated observables; every third is exponential, a third derived."""
    mixing = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0]
    x = np.random.default_rng(seed).normal(size=(n, d)) @ (mixing * np.linspace(0.5, 2, d))
    x[:, 0] *= stretch
    x[:, ::3] = np.exp(x[:, ::3])
    axes = {f"x{i}": Axis(derived=i >= 2 * d // 3) for i in range(d)}
    return from_arrays(dict(zip(axes, x.T, strict=True)), axes=axes)


def measure(n: int, d: int, stretch: float) -> tuple[Scorecard, dict[str, float]]:
    """Return the scorecard and the seconds that each metric took."""
    samples = events(n, d, 1), events(n, d, 2, stretch)
    training = events(n, d, 3)
    begun: dict[str, float] = {}
    card = scorecard(
        *samples,
        training=training,
        progress=lambda done, metric: begun.update({metric: time.perf_counter()}),
    )
    starts = list(begun.values())
    seconds = {name: starts[i + 1] - starts[i] for i, name in enumerate(METRICS)}
    return card, seconds


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--observables", type=int, default=17)
    parser.add_argument("--stretch", type=float, default=1.02)
    options = parser.parse_args()
    card, seconds = measure(options.events, options.observables, options.stretch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
    for name, spent in seconds.items():
        print(f"{name:20s} {spent:6.1f} s")
    threads = torch.get_num_threads()
    print(f"{'all':20s} {card.seconds:6.1f} s, peak {peak:.2f} GB, {threads} threads")
    for line in card.headline():
        print(line)
    result = {
        **vars(options),
        "seconds": card.seconds,
        "by_metric": seconds,
        "peak_gb": peak,
        "threads": threads,
    }
    keep("evaluate", result)


if __name__ == "__main__":
    main()
