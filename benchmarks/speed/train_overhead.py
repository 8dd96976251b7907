"""Ray Train beside a bare PyTorch loop.

Both train the quick recipe's networks on the same toy electrons with as many threads, in turn,
several times; the figure is the median ratio of steps per second. Ray's workers yield to other
processes (niceness 15), which would measure those others: here they do not.
"""

import os
import tempfile
from pathlib import Path

import torch

from benchmarks.common.bare_gan import bare_steps_per_second
from benchmarks.common.options import Repeated
from benchmarks.common.results import Results
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.session import possible_cpus, ray_session
from mleg_ray.cluster.train import train
from mleg_ray.run import RunConfig
from tests.prepared import prepared_dataset


def measure(options: Repeated, results: Results) -> None:
    """Measure in turn."""
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own spelling
    steps = options.few(750, 6)
    run = RunConfig.load(
        "fatgan-quick", (f"training.steps={steps}", f"selection.every={steps // 3}")
    )
    with tempfile.TemporaryDirectory() as folder, ray_session():
        threads = run.training.threads or possible_cpus() - 1
        torch.set_num_threads(threads)
        dataset = prepared_dataset(Path(folder) / "data", shard_rows=6000)
        for number in options.turns:
            bare = bare_steps_per_second(run, dataset, torch.device("cpu"))
            on_ray = ray_steps_per_second(run, dataset, folder, f"round{number}")
            figures = {"steps/s bare": bare, "steps/s on Ray": on_ray, "ratio": on_ray / bare}
            results.add({"threads": threads, "steps": steps}, figures, round=number)


def ray_steps_per_second(run: RunConfig, dataset: Dataset, folder: str, name: str) -> float:
    """Train through Ray; count from the first snapshot, when Ray and the data have started."""
    history = train(run, dataset, folder, name=name).card.history
    first, last = history[0], history[-1]
    return (last["step"] - first["step"]) / (last["seconds"] - first["seconds"])
