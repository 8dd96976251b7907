"""How close recipes come to the FAT-GAN authors' events.

Trains each recipe on 45% of tape2.txt (5% more choose the snapshot), generates as many events as
ten times the test half and judges them by that half. The reports lie in the storage.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure

from benchmarks.common.options import Tapes, Training
from benchmarks.common.results import Results, Row, budget, estimates
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """What is trained."""

    root: Tapes
    recipes: Annotated[
        list[str],
        typer.Option(
            "--recipe",
            default_factory=lambda: ["fatgan-quick"],
            show_default="fatgan-quick",
            help="Repeatable.",
        ),
    ]


def measure(options: Asked, results: Results) -> None:
    """Train, sample and judge each recipe as it is."""
    compare(options.recipes, options.root, options, results)


def compare(
    recipes: Sequence[str], root: Path, options: Training, results: Results, *own: str
) -> None:
    """Train each recipe with its `own` values and each seed, judge it; draw how scores fell."""
    options.require(*recipes)
    dataset = options.tape2(root)
    histories: dict[str, History] = {}
    for recipe in options.some(recipes):
        for seed in options.seeds:
            checkpoint = options.trained(recipe, seed, *own, dataset=dataset)
            _, card = options.judged(checkpoint, dataset, seed)
            cost = budget(checkpoint) | {"snapshot of step": checkpoint.card.step}
            results.add({"recipe": recipe}, cost | quoted(card), seed=seed)
            histories.setdefault(recipe, checkpoint.card.history)
    results.draw(convergence, histories)


def quoted(card: Scorecard) -> Row:
    """Return the figures that count, with their floors."""
    ks = [figure for figure in card.figures["ks"].values() if isinstance(figure, Estimate)]
    means = (statistics.fmean(getattr(f, name) for f in ks) for name in ("value", "floor"))
    return {"mean ks": list(means)} | estimates(
        card,
        c2st_auc=["boosted trees"],
        chi2_ndf=["x_bj, q2"],
        chi2_paper=["x_bj, q2"],
        unphysical_rate=["any"],
    )


def convergence(histories: Mapping[str, History]) -> Figure:
    """Draw two scores of each recipe's snapshots, with the first seed, against steps.

    The one by which snapshots are chosen, and χ² of x_bj as in the dissertation's Fig. 11 (sec.
    4.5.3), of the validation events and five times as many generated ones.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    scores = {
        "ks_sum": "sum of KS distances, validation",
        "chi2_paper.x_bj": "χ² (paper) of $x_{bj}$, validation",
    }
    for axes, (score, label) in zip(figure.subplots(1, 2), scores.items(), strict=True):
        for recipe, history in histories.items():
            told = [h for h in history if score in h]
            axes.plot([h["step"] for h in told], [h[score] for h in told], label=recipe)
        axes.set(xlabel="step", ylabel=label, yscale="log")
    figure.axes[0].legend()
    return figure
