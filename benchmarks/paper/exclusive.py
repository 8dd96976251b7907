"""An exclusive reaction of three particles, γ p -> p π⁺π⁻, by FAT-GAN and a flow.

Both learn events at photon energies of 2, 3 and 4 GeV and are judged at 3 GeV.
"""

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.evaluate import evaluate_any
from mleg_ray.storage import join
from paper.measuring import SMALL_GAN, Options, Results, estimates

GAN, FLOW = "fatgan-photoproduction", "flow-photoproduction"
QUICK = {GAN: SMALL_GAN, FLOW: ()}
ENERGY = {"photon_energy": 3.0}  # at which generated events are judged


def exclusive(options: Options, results: Results) -> None:
    """Train both, and judge them by the test split at one photon energy."""
    truth = options.prepared("gamma-p-to-p-pi-pi").at(ENERGY)
    for recipe in options.some((FLOW, GAN)):
        for seed in options.seeds:
            checkpoint = trained(options, recipe, seed)
            report = join(options.storage, "reports", f"{recipe}-{checkpoint.digest[:8]}-{seed}")
            card = evaluate_any(checkpoint.uri, truth, "test", report, options.storage, seed=seed)
            figures = {"training_s": checkpoint.card.seconds}
            figures |= estimates(card, "c2st_auc", "unphysical_rate", "ks")
            results.add({"recipe": recipe}, seed, figures)


def trained(options: Options, recipe: str, seed: int) -> Checkpoint:
    """Train one of the two."""
    return options.trained(recipe, seed, quick=QUICK[recipe])
