"""The average of a model's weights: the training loop's beside PyTorch's.

In turn, CPU time on one thread of an update of either, and of a whole step of the training.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results, timed
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop
from mleg_ray.training.share import fitted_map
from tests.prepared import prepared_dataset
from tests.recipes import features_of, objective_of

RECIPES = ("fatgan-quick", "flow-dis")


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """What is averaged."""

    updates: int = 200


def measure(options: Asked, results: Results) -> None:
    """Measure a small GAN and a flow."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepared_dataset(Path(folder), shard_rows=6000)
        for recipe in options.some(RECIPES):
            run = RunConfig.load(recipe, ("training.steps=1000000", "training.batch_size=500"))
            feature_map, _ = fitted_map(run, dataset)
            events = features_of(feature_map, dataset.load("train"))
            model = run.build_model(feature_map)
            objective = objective_of(run, feature_map)
            loop = TrainingLoop(model, feature_map, objective, run.training, torch.device("cpu"))
            decay = get_ema_multi_avg_fn(run.training.ema_decay)  # type: ignore[no-untyped-call]
            library = AveragedModel(loop.model, multi_avg_fn=decay, use_buffers=True)
            updates: dict[str, Callable[[], object]] = {
                "update, ms": loop._average_weights,
                "AveragedModel, ms": partial(library.update_parameters, loop.model),
            }
            steps = loop.run(resident(events, run.training.batch_size, 1), 1)
            for number in options.turns:
                figures = {"step, ms": _median(partial(next, steps), options.few(20, 2))}
                for name, update in updates.items():
                    figures[name] = _median(update, options.few(options.updates, 2))
                added = figures["AveragedModel, ms"] - figures["update, ms"]
                figures["added share of a step"] = added / figures["step, ms"]
                results.add({"recipe": recipe}, figures, round=number)


def _median(work: Callable[[], object], times: int) -> float:
    """Return the median CPU time of so many calls, in milliseconds."""
    return statistics.median(1e3 * timed(work, time.process_time)[1] for _ in range(times))
