"""γ p -> p π⁺π⁻ by FAT-GAN and a flow.

Both learn events at photon energies of 2, 3 and 4 GeV and are judged at 3 GeV.
"""

from benchmarks.common.options import SMALL_GAN, Paper
from benchmarks.common.results import Results, estimates
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.commands.judging import evaluate, sampled
from mleg_ray.storage import join

GAN, FLOW = "fatgan-photoproduction", "flow-photoproduction"
ENERGY = {"photon_energy": 3.0}  # at which generated events are judged


def measure(options: Paper, results: Results) -> None:
    """Train both, and judge them by the test split at one photon energy."""
    options.require(FLOW, GAN)
    truth = options.prepared("gamma-p-to-p-pi-pi").at(ENERGY)
    for recipe in options.some((FLOW, GAN)):
        for seed in options.seeds:
            checkpoint = trained(options, recipe, seed)
            report = join(options.place, "reports", f"{recipe}-{checkpoint.digest[:8]}-{seed}")
            generated = sampled(checkpoint.uri, truth, "test", options.place, seed=seed)
            card = evaluate(generated, truth, "test", report, seed=seed)
            figures = {"training s": checkpoint.card.seconds}
            figures |= estimates(card, "c2st_auc", "unphysical_rate", "ks")
            results.add({"recipe": recipe}, figures, seed=seed)


def trained(options: Paper, recipe: str, seed: int) -> Checkpoint:
    """Train one of the two."""
    quick = options.quick(*SMALL_GAN) if recipe == GAN else ()
    return options.trained(recipe, seed, *quick)
