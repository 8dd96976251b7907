"""Replicas of a GAN as one computation, and one by one.

Both have all the machine's cores. Measured are steps a second of all replicas together.
"""

import tempfile
from functools import partial
from pathlib import Path

import torch

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results, timed
from mleg_ray.cluster.session import usable_cpus
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import ResidentMinibatches
from mleg_ray.training.loop import TrainingLoop
from mleg_ray.training.share import fitted_map
from mleg_ray.training.stacked import StackedLoop
from tests.prepared import prepared_dataset
from tests.recipes import features_of, objective_of

CPU = torch.device("cpu")
NETWORKS = (
    "model.generator.widths=[128, 128, 128, 128]",
    "model.critic.widths=[128, 128, 128, 128]",
)


def measure(options: Repeated, results: Results) -> None:
    """Measure in turn."""
    torch.set_num_threads(usable_cpus())
    steps, replicas = options.few(40, 2), options.few(10, 2)
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepared_dataset(Path(folder), shard_rows=6000)
        for batch_size in (16,) if options.small else (128, 1024):
            runs = [
                RunConfig.load(
                    "fatgan-quick",
                    (
                        f"training.steps={steps}",
                        f"training.batch_size={batch_size}",
                        f"training.seed={seed}",
                        *NETWORKS,
                    ),
                )
                for seed in range(replicas)
            ]
            feature_map, _ = fitted_map(runs[0], dataset)
            events = features_of(feature_map, dataset.load("train"))
            models = [run.build_model(feature_map) for run in runs]
            shares = [ResidentMinibatches(events, batch_size, run.training.seed) for run in runs]
            objective = objective_of(runs[0], feature_map)
            for number in options.turns:
                stacked = StackedLoop(
                    models, feature_map, objective, [run.training for run in runs], CPU
                )
                _, together = timed(partial(list, stacked.together(shares, steps)))
                apart = 0.0
                for run, share in zip(runs, shares, strict=True):
                    model = run.build_model(feature_map)
                    loop = TrainingLoop(model, feature_map, objective, run.training, CPU)
                    apart += timed(partial(list, loop.run(share, steps)))[1]
                figures = {
                    "steps/s stacked": steps * replicas / together,
                    "steps/s apart": steps * replicas / apart,
                    "ratio": apart / together,
                }
                labels = {"batch size": batch_size, "replicas": replicas}
                results.add(labels, figures, round=number)
