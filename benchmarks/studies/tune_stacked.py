"""Replicas of a GAN as one computation, and one by one.

All have all the machine's cores. Measured are steps a second of all replicas together: stacked in
batched matrix products, stacked by `torch.func`, and apart.
"""

import copy
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results, Row, timed
from benchmarks.common.stacked import StackedLoop, stack
from mleg_ray.cluster.session import usable_cpus
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop
from mleg_ray.training.share import fitted_map
from tests.prepared import prepared_dataset
from tests.recipes import features_of, objective_of

CPU = torch.device("cpu")
WIDTHS = ([64, 64], [128, 128, 128, 128])
BATCH_SIZES = (128, 1024)


def measure(options: Repeated, results: Results) -> None:
    """Measure in turn."""
    torch.set_num_threads(usable_cpus())
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepared_dataset(Path(folder), shard_rows=6000)
        for widths in options.some(WIDTHS):
            for batch_size in options.some(BATCH_SIZES):
                values = (
                    f"training.steps={options.few(40, 2)}",
                    f"training.batch_size={options.few(batch_size, 16)}",
                    f"model.generator.widths={widths}",
                    f"model.critic.widths={widths}",
                )
                runs = [
                    RunConfig.load("fatgan-quick", (*values, f"training.seed={seed}"))
                    for seed in range(options.few(10, 2))
                ]
                feature_map, _ = fitted_map(runs[0], dataset)
                events = features_of(feature_map, dataset.load("train"))
                labels = {"widths": widths, "batch size": batch_size, "replicas": len(runs)}
                for number in options.turns:
                    figures = _steps_a_second(runs, feature_map, events)
                    results.add(labels, figures, round=number)


def _steps_a_second(runs: list[RunConfig], feature_map: FeatureMap, events: Batch) -> Row:
    objective = objective_of(runs[0], feature_map)
    configs = [run.training for run in runs]
    shares = [resident(events, c.batch_size, c.seed) for c in configs]
    steps = configs[0].steps
    seconds = {}
    for name, stacking in (("stacked", stack), ("by torch.func", mapped)):
        models = [run.build_model(feature_map) for run in runs]
        loop = StackedLoop(models, feature_map, objective, configs, CPU, stacking)
        _, seconds[name] = timed(partial(list, loop.together(shares, steps)))
    seconds["apart"] = 0.0
    for run, share in zip(runs, shares, strict=True):
        alone = TrainingLoop(
            run.build_model(feature_map), feature_map, objective, run.training, CPU
        )
        seconds["apart"] += timed(partial(list, alone.run(share, steps)))[1]
    rates = {f"steps/s {name}": steps * len(runs) / taken for name, taken in seconds.items()}
    return rates | {
        "stacked over apart": seconds["apart"] / seconds["stacked"],
        "torch.func over stacked": seconds["stacked"] / seconds["by torch.func"],
    }


def mapped(models: Sequence[Model]) -> Model:
    """Return one model that holds all, as `stack`, each of its networks as one `torch.vmap`."""
    joined = copy.deepcopy(models[0])
    for name, _ in models[0].named_children():
        setattr(joined, name, _Mapped([model.get_submodule(name) for model in models]))
    return joined


class _Mapped(nn.Module):
    """E networks of one architecture, each applied to its own part of the rows."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        weights, _ = torch.func.stack_module_state(networks)
        self._names = list(weights)
        self._weights = nn.ParameterList(weights.values())
        self._one = (copy.deepcopy(networks[0]),)  # in a tuple: its own weights are not this one's

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (E·B, n_in) under condition (E·B, c), replica by replica, to (E·B, n_out)."""
        replicas = len(self._weights[0])
        x, condition = (
            rows.reshape(replicas, len(rows) // replicas, rows.shape[1]) for rows in (x, condition)
        )
        weights = dict(zip(self._names, self._weights, strict=True))
        result: Tensor = torch.vmap(self._alone)(weights, x, condition)
        return result.flatten(0, 1)

    def _alone(self, weights: dict[str, Tensor], x: Tensor, condition: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(self._one[0], weights, (x, condition))
        return result
