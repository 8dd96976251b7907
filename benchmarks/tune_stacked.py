"""Ten replicas of a GAN as one batched computation, beside ten runs one after another.

    python benchmarks/tune_stacked.py --steps 40

Both have all the machine's cores. Prints steps a second of all replicas together, and the ratio.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.results import keep

from mleg_ray.cluster.session import usable_cpus
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import ResidentMinibatches
from mleg_ray.training.loop import TrainingLoop
from mleg_ray.training.share import fitted_map
from mleg_ray.training.stacked import StackedLoop
from tests.prepared import prepared_dataset
from tests.recipes import features_of

CPU = torch.device("cpu")


def main() -> None:
    """Measure in turn, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--replicas", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 1024])
    options = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepared_dataset(Path(folder), shard_rows=6000)
        for batch_size in options.batch_sizes:
            runs = [
                RunConfig.load(
                    "fatgan-quick",
                    (
                        f"training.steps={options.steps}",
                        f"training.batch_size={batch_size}",
                        f"training.seed={seed}",
                        "model.generator.widths=[128, 128, 128, 128]",
                        "model.critic.widths=[128, 128, 128, 128]",
                    ),
                )
                for seed in range(options.replicas)
            ]
            feature_map, _ = fitted_map(runs[0], dataset)
            events = features_of(feature_map, dataset.load("train"))
            models = [run.build_model(feature_map) for run in runs]
            shares = [ResidentMinibatches(events, batch_size, run.training.seed) for run in runs]
            objective = runs[0].objective.build()
            for _ in range(options.rounds):
                stacked = StackedLoop(
                    models, feature_map, objective, [run.training for run in runs], CPU
                )
                started = time.perf_counter()
                list(stacked.together(shares, options.steps))
                together = time.perf_counter() - started
                started = time.perf_counter()
                for run, share in zip(runs, shares, strict=True):
                    loop = TrainingLoop(
                        run.build_model(feature_map), feature_map, objective, run.training, CPU
                    )
                    list(loop.run(share, options.steps))
                apart = time.perf_counter() - started
                steps = options.steps * options.replicas
                row = {
                    "batch_size": batch_size,
                    "stacked": steps / together,
                    "apart": steps / apart,
                }
                rows.append(row | {"ratio": apart / together})
                print({key: round(value, 2) for key, value in rows[-1].items()})
    keep("tune_stacked", {"rows": rows})


if __name__ == "__main__":
    main()
