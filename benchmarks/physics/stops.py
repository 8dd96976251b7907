"""Top squarks at masses that a generator has not seen, between those it has learned.

Trains a recipe on stop-grid, generates events at 300 and 100 GeV, and compares them with
stop-300-100, whose test split is the truth. Beside what is generated stand true events of the
nearest masses of the grid, 400 and 100 GeV, with the truth's own train split as the floor. The
figures are those of `python -m benchmarks tops`.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import typer

from benchmarks.common import tops
from benchmarks.common.options import Training
from benchmarks.common.results import Results, budget

GRID, JUDGE = "stop-grid", "stop-300-100"
MASSES = {"m_stop": 300.0, "m_chi": 100.0}
NEAREST = {"m_stop": 400.0, "m_chi": 100.0}


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """What is trained."""

    recipe: Annotated[str, typer.Argument(help="One on stop-grid.")] = "sequence-stops"
    pairs: Annotated[int, typer.Option(min=3, help="Events of the grid.")] = 600_000
    judging: Annotated[int, typer.Option(min=1, help="Events of stop-300-100.")] = 300_000


def measure(options: Asked, results: Results) -> None:
    """Train with each seed, and compare."""
    options.require(options.recipe, dataset=GRID)
    grid = options.prepared(GRID, options.pairs)
    judge = options.prepared(JUDGE, options.judging)
    test, train = judge.load("test"), judge.load("train")
    truth = tops.sample(test, JUDGE)
    nearest = grid.at(NEAREST).load("test")
    for seed in options.seeds:
        checkpoint = options.trained(options.recipe, seed, dataset=grid)
        generator = torch.Generator().manual_seed(seed)
        given = checkpoint.given(len(test), MASSES)
        samples = {
            "generated": checkpoint.generate(given, generator=generator),
            "true, 400 and 100 GeV": nearest[: len(test)],
            "true, 300 and 100 GeV": train[: len(test)],
        }
        compared = {name: tops.sample(events, name) for name, events in samples.items()}
        for name, events in samples.items():
            labels = {"recipe": options.recipe, "sample": name}
            figures = tops.told(truth, compared[name], seed) | tops.invalid(compared[name])
            results.add(labels, figures, seed=seed)
            results.add(labels | {"of": "channels"}, tops.shares(test, events), seed=seed)
        spent = budget(checkpoint)
        spent.pop("features")
        results.add({"recipe": options.recipe, "of": "training"}, spent, seed=seed)
        results.draw(tops.picture, truth, compared)
