"""Direct and conditional folding GANs of declared detectors.

Each is trained on one spectrum and judged on its own test split and on another spectrum: by what is
measured, and by pairs of measured and true numbers. Between the direct and the conditional GAN of
the toys one thing is changed at a time.
"""

from collections.abc import Iterable, Mapping

import torch

from benchmarks.common.options import Paper
from benchmarks.common.results import Results, Row, budget, estimate, estimates
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import complete
from mleg_ray.commands.judging import evaluate
from mleg_ray.evaluation.scorecards import worst
from mleg_ray.events import Events
from mleg_ray.sampling.job import plan_fold
from mleg_ray.storage import join

TOY = "fold-toy"
RECIPES = (TOY, "fold-toy-direct", "response-electrons")
OTHER = {  # dataset: another of the same detector, of another spectrum
    "folding-toy-gamma": "folding-toy-uniform",
    "folding-toy-normal-2d": "folding-toy-uniform-2d",
    "folding-electrons-flat": "folding-electrons-dis",
    "folding-hera-simulated": "folding-hera-flat",
}
TOYS = ("folding-toy-gamma", "folding-toy-normal-2d")
WITHOUT_NOISE, BLIND = "model.noise_dim=0", "model.conditional_critic=false"
SWITCHES: dict[str, tuple[str, ...]] = {
    "conditional": (),
    "without noise": (WITHOUT_NOISE,),
    "critic blind to the truth": (BLIND,),
    "direct: both": (WITHOUT_NOISE, BLIND),
}
DIFFERENCES = "conditional, of differences"
OBSERVABLES = (
    *("particle.x", "particle.y", "error", "error_y"),
    *("electron.energy", "energy_ratio", "theta_error"),
)
PAIRED = ("particle.x", "particle.y", "electron.energy")


def measure(options: Paper, results: Results) -> None:
    """Train each folding GAN; fold and judge each spectrum."""
    recipes = [options.for_budget(name) for name in RECIPES]
    options.require(*recipes)
    for recipe in options.some(recipes):
        for seed in options.seeds:
            _judge(options.trained(recipe, seed), recipe, seed, options, results)
    for dataset in options.some(TOYS):
        fields = options.prepared(dataset).manifest.schema_.event
        for name, own in options.some(list(_systems(fields).items())):
            for seed in options.seeds:
                judged = f"selection.observables={list(fields)}"
                checkpoint = options.trained(
                    options.for_budget(TOY), seed, f"dataset={dataset}", judged, *own
                )
                _judge(checkpoint, name, seed, options, results)


def _systems(fields: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what each system of toys sets: the truth is `vertex.NAME` of each field."""
    steps = ", ".join(
        f"{{ kind = 'difference', field = '{name}', to = 'vertex.{name.split('.')[1]}' }}"
        for name in fields
    )
    as_they_are = "features.steps=[]"
    return {name: (as_they_are, *own) for name, own in SWITCHES.items()} | {
        DIFFERENCES: (f"features.steps=[{steps}]",)
    }


def _judge(
    checkpoint: Checkpoint, system: str, seed: int, options: Paper, results: Results
) -> None:
    """Fold and judge the test split of its own dataset, and that of the other."""
    trained = checkpoint.run.dataset
    for name in (trained, OTHER[trained]):
        truth = options.prepared(name)
        generated = folded(checkpoint, truth, options.place)
        report = join(options.place, "reports", generated.uri.rsplit("/", 1)[-1])
        card = evaluate(generated.uri, truth, "test", report, seed=seed)
        _, auc = worst(card.figures["c2st_auc"])
        shown = [axis for axis in OBSERVABLES if axis in card.figures["ks"]]
        figures = budget(checkpoint) | {"auc": estimate(auc)} | estimates(card, ks=shown)
        figures |= pairs(generated.load(), truth.load("test"), checkpoint.schema.truth)
        labels = {"system": system, "trained on": trained, "judged on": name}
        results.add(labels, figures, seed=seed)


def pairs(made: Events, truth: Events, of: Mapping[str, str]) -> Row:
    """Return how measured numbers lie about the true ones, of those made and of the truth itself.

    `of` names the field that each true number is measured as. For each, the standard deviation of
    the measured less the true one, and the correlation of both.
    """
    row: Row = {}
    for true, field in of.items():
        if field in PAIRED:
            both = [(events.columns[field], events.columns[true]) for events in (made, truth)]
            row[f"spread, {field}"] = [float((x - v).std()) for x, v in both]
            tables = [torch.stack(columns) for columns in both]
            row[f"correlation, {field}"] = [float(table.corrcoef()[0, 1]) for table in tables]
    return row


def folded(checkpoint: Checkpoint, dataset: Dataset, storage: str) -> Dataset:
    """Fold the test split of a dataset; a few events lie beyond the last of the train split."""
    name = "-of-".join((checkpoint.run.dataset, checkpoint.digest[:8], dataset.manifest.name))
    target = join(storage, "folded", name)
    return complete(plan_fold(checkpoint, dataset, "test", target, seed=1, extrapolate=True))
