"""Direct and conditional folding GANs of two detectors.

Each is trained on one spectrum and judged on its own test split and on another spectrum.
"""

from benchmarks.common.options import Training
from benchmarks.common.results import Results, estimate, estimates
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import complete
from mleg_ray.commands.judging import evaluate
from mleg_ray.evaluation.scorecards import worst
from mleg_ray.sampling.job import plan_fold
from mleg_ray.storage import join

SYSTEMS = {  # recipe: the dataset it is trained on, and the one whose spectrum is another
    "fold-toy-direct": ("folding-toy-normal", "folding-toy-uniform"),
    "fold-toy": ("folding-toy-normal", "folding-toy-uniform"),
    "response-electrons": ("folding-electrons-flat", "folding-electrons-dis"),
}
OBSERVABLES = ("x", "error", "energy_ratio", "theta_error")


def measure(options: Training, results: Results) -> None:
    """Train each folding GAN; fold and judge each spectrum."""
    options.require(*SYSTEMS)
    for recipe, datasets in options.some(list(SYSTEMS.items())):
        for seed in options.seeds:
            checkpoint = options.trained(recipe, seed)
            for name in datasets:
                truth = options.prepared(name)
                generated = folded(checkpoint, truth, options.place)
                report = join(options.place, "reports", generated.uri.rsplit("/", 1)[-1])
                card = evaluate(generated.uri, truth, "test", report, seed=seed)
                _, auc = worst(card.figures["c2st_auc"])
                shown = [axis for axis in OBSERVABLES if axis in card.figures["ks"]]
                figures = {"training s": checkpoint.card.seconds, "auc": estimate(auc)}
                figures |= estimates(card, ks=shown)
                results.add({"recipe": recipe, "judged on": name}, figures, seed=seed)


def folded(checkpoint: Checkpoint, dataset: Dataset, storage: str) -> Dataset:
    """Fold the test split of a dataset; a few events lie beyond the last of the train split."""
    name = "-of-".join((checkpoint.run.dataset, checkpoint.digest[:8], dataset.manifest.name))
    target = join(storage, "folded", name)
    return complete(plan_fold(checkpoint, dataset, "test", target, seed=1, extrapolate=True))
