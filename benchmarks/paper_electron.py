"""The electron-scattering systems of the machine-learning event generator dissertation, row by row.

    python benchmarks/paper_electron.py coordinates --root FOLDER_OF_THE_TAPES
    python benchmarks/paper_electron.py losses --root FOLDER_OF_THE_TAPES --budget full

Every recipe of a row is trained on the same 45% of the FAT-GAN authors' events and judged by their
test half. `full` is the recipes as they are, for a GPU; `quick` gives the GANs of `coordinates` and
`losses` the same small networks and 3,000 steps, some minutes of one CPU, which is what those of
`families` take as they are. Prints a table, writes JSON, and draws how the validation score fell.
(cFAT-GAN: `energies.py --recipe cfatgan`; landscapes: `paper_landscape.py`.)
"""

import argparse
import json
import os
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure
from tape2_quality import DATASET, measured, rounded

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import environment
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.session import ray_session
from mleg_ray.report.drawing import STYLE, png
from mleg_ray.storage import absolute

LOSSES = ["fatgan-vanilla", "fatgan-lsgan", "fatgan-wgan-clipped", "fatgan", "fatgan-one-sided"]
ROWS = {
    "coordinates": ["dsgan", "fatgan", "fatgan-spherical"],
    "losses": [*LOSSES, "fatgan-mmd-gan"],
    "families": ["fatgan-quick", "flow-dis", "bvae-dis", "avae-dis", "wae-dis", "swae-dis"],
}
ADAM = '{ learning_rate = 5e-4, betas = [0.5, 0.9], schedule = "cosine" }'
SMALL_GAN = (
    "model.noise_dim=8",
    "model.generator.widths=[64, 64, 64]",
    "model.critic.widths=[128, 128, 128]",
    "training.steps=3000",
    "training.batch_size=512",
    "training.threads=1",
    f"training.optimisers.generator={ADAM}",
    f"training.optimisers.critic={ADAM}",
    "selection.every=100",
)
QUICK = {"coordinates": SMALL_GAN, "losses": SMALL_GAN, "families": ("training.threads=1",)}
RESULTS = Path(__file__).parent / "results"


def convergence(curves: dict[str, tuple[dict[str, float], ...]]) -> bytes:
    """Draw the validation score of each recipe's snapshots against the steps."""
    with style.context(STYLE):
        figure = Figure(figsize=(5.4, 3.5), layout="constrained")
        axes = figure.subplots()
        for recipe, history in curves.items():
            axes.plot([h["step"] for h in history], [h["ks_sum"] for h in history], label=recipe)
        axes.set_xlabel("step")
        axes.set_ylabel("sum of KS distances, validation")
        axes.set_yscale("log")
        axes.legend()
        return png(figure)


def main() -> None:
    """Measure every recipe of a row with each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=sorted(ROWS))
    parser.add_argument("--root", required=True)
    parser.add_argument("--budget", choices=["quick", "full"], default="quick")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    budget = QUICK[options.row] if options.budget == "quick" else ()
    rows, curves = [], {}
    with ray_session():
        dataset = prepare(DatasetSpec.load(DATASET, (f"source.root={options.root}",)), storage)
        for recipe in ROWS[options.row]:
            for seed in options.seeds:
                assignments = (*budget, *options.assignments)
                checkpoint, row = measured(recipe, assignments, dataset, storage, seed)
                rows.append(row)
                curves[recipe] = checkpoint.card.history
                print(rounded(row), flush=True)
    name = f"paper-electron-{options.row}-{options.budget}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.png").write_bytes(convergence(curves))
    result = {"cores": os.cpu_count(), "rows": rows, "with": environment()}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
