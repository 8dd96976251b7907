"""FAT-GAN's coordinates, adversarial losses and rival families, all on the authors' own events.

Every recipe is trained on the same 45% of tape2.txt and judged by its test half. At the quick
budget the GANs of `coordinates` and `losses` have the same small networks; those of `families` are
recipes of some minutes of one CPU as they are.
"""

from matplotlib import style
from matplotlib.figure import Figure
from tape2_quality import measured, tape2

from mleg_ray.report.drawing import STYLE, png
from paper.measuring import SMALL_GAN, Options, Results

LOSSES = ("fatgan-vanilla", "fatgan-lsgan", "fatgan-wgan-clipped", "fatgan", "fatgan-one-sided")
RECIPES = {
    "coordinates": ("dsgan", "fatgan", "fatgan-spherical"),
    "losses": (*LOSSES, "fatgan-mmd-gan"),
    "families": ("fatgan-quick", "flow-dis", "bvae-dis", "avae-dis", "wae-dis", "swae-dis"),
}
QUICK = {"coordinates": SMALL_GAN, "losses": SMALL_GAN, "families": ("training.threads=1",)}


def compare(options: Options, results: Results) -> None:
    """Measure every recipe of the row, and draw how its validation score fell."""
    assignments = (*options.budgeted(QUICK[options.row]), *options.assignments)
    dataset = tape2(options.root, options.storage)
    curves: dict[str, tuple[dict[str, float], ...]] = {}
    for recipe in options.some(RECIPES[options.row]):
        for seed in options.seeds:
            checkpoint, figures = measured(recipe, assignments, dataset, options.storage, seed)
            curves.setdefault(recipe, checkpoint.card.history)
            results.add({"recipe": recipe}, seed, figures)
    results.draw(convergence(curves))


def convergence(curves: dict[str, tuple[dict[str, float], ...]]) -> bytes:
    """Draw the validation score of each recipe's snapshots, with the first seed, against steps."""
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
