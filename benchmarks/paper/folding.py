"""Detectors: the direct and the conditional folding GAN, on toys and on electrons.

Each is trained on one spectrum and judged on its own test split and on another spectrum.
"""

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.evaluate import evaluate
from mleg_ray.cluster.sample import complete
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.sampling.job import plan_fold
from mleg_ray.storage import join
from paper.measuring import Options, Results

SYSTEMS = {  # recipe: the dataset it is trained on, and the one whose spectrum is another
    "fold-toy-direct": ("folding-toy-normal", "folding-toy-uniform"),
    "fold-toy": ("folding-toy-normal", "folding-toy-uniform"),
    "response-electrons": ("folding-electrons-flat", "folding-electrons-dis"),
}
OBSERVABLES = ("x", "error", "energy_ratio", "theta_error")


def folding(options: Options, results: Results) -> None:
    """Train each folding GAN; fold and judge each spectrum."""
    for recipe, datasets in options.some(list(SYSTEMS.items())):
        for seed in options.seeds:
            checkpoint = options.trained(recipe, seed)
            for name in datasets:
                truth = options.prepared(name)
                generated = folded(checkpoint, truth, options.storage)
                report = join(options.storage, "reports", generated.uri.rsplit("/", 1)[-1])
                card = evaluate(generated.uri, truth, "test", report, seed=seed)
                found = card.figures["c2st_auc"].values()
                worst = max((v for v in found if isinstance(v, Estimate)), key=lambda v: v.value)
                figures = {"training_s": checkpoint.card.seconds}
                figures |= {"auc": worst.value, "auc_floor_spread": worst.floor_spread}
                for observable in OBSERVABLES:
                    figure = card.figures["ks"].get(observable)
                    if isinstance(figure, Estimate):
                        figures[f"ks {observable}"] = figure.value
                        figures[f"ks {observable} floor"] = figure.floor
                results.add({"recipe": recipe, "judged on": name}, seed, figures)


def folded(checkpoint: Checkpoint, dataset: Dataset, storage: str) -> Dataset:
    """Fold the test split of a dataset; a few events lie beyond the last of the train split."""
    name = "-of-".join((checkpoint.run.dataset, checkpoint.digest[:8], dataset.manifest.name))
    target = join(storage, "folded", name)
    return complete(plan_fold(checkpoint, dataset, "test", target, seed=1, extrapolate=True))
