"""The electron-scattering systems of the machine-learning event generator dissertation, row by row.

    python benchmarks/paper_electron.py coordinates --root FOLDER_OF_THE_TAPES
    python benchmarks/paper_electron.py acceptance --budget full

`quick` gives every GAN of the dissertation the same small networks and a few thousand steps, some
minutes of one CPU; `full` is the recipes as they are, for a GPU. Prints a table, the medians of
several `--seeds` last, and writes JSON and pictures into benchmarks/results. Rows:

    coordinates    DS-GAN and FAT-GAN in Cartesian and spherical coordinates; convergence
    losses         FAT-GAN under six adversarial losses
    families       GAN, flow, VAEs, WAEs on the same events
    acceptance     leakage into the holes of a detector
    energies       cFAT-GAN at trained beam energies, between and beyond
    folding        direct and conditional folding GANs on two spectra each
    unfolding      bands, pulls, reduced cross section of replicas at the vertex; OmniFold
    amplification  what more events than were trained on are worth
    exclusive      γ p -> p π⁺π⁻
    latent         what hidden layers tell apart
    landscapes     how rough the losses' surfaces are with 10 and 15 blocks, 15 plain layers

The first three and `landscapes` need the authors' events; `energies` takes them too where `--root`
is given.
"""

import argparse

from paper.acceptance import acceptance
from paper.amplification import amplification
from paper.energies import energies
from paper.exclusive import exclusive
from paper.folding import folding
from paper.landscapes import landscapes
from paper.latent import latent
from paper.measuring import Options, Results
from paper.tape2 import RECIPES, compare
from paper.unfolding import unfolding

from mleg_ray.cluster.session import ray_session
from mleg_ray.storage import absolute

ROWS = dict.fromkeys(RECIPES, compare) | {
    "acceptance": acceptance,
    "energies": energies,
    "folding": folding,
    "unfolding": unfolding,
    "amplification": amplification,
    "exclusive": exclusive,
    "latent": latent,
    "landscapes": landscapes,
}
OF_THE_TAPES = {*RECIPES, "landscapes"}


def main() -> None:
    """Measure a row with each seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("row", choices=list(ROWS))
    parser.add_argument("--root", default="", help="the folder of the authors' tapes")
    parser.add_argument("--budget", choices=["quick", "full"], default="quick")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="SEED")
    parser.add_argument("--replicas", type=int, default=10, help="of an unfolding ensemble")
    parser.add_argument(
        "--set", nargs="*", default=[], dest="assignments", metavar="KEY=VALUE", help="of recipes"
    )
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    given = parser.parse_args()
    if given.row in OF_THE_TAPES and not given.root:
        parser.error(f"{given.row} needs --root, the folder of the authors' tapes")
    if given.replicas < 3:
        parser.error("--replicas: an ensemble of fewer than 3 has no spread worth the name")
    options = Options(
        row=given.row,
        budget=given.budget,
        root=given.root,
        seeds=tuple(given.seeds),
        replicas=given.replicas,
        assignments=tuple(given.assignments),
        storage=absolute(given.storage),
    )
    results = Results(options)
    with ray_session():
        ROWS[given.row](options, results)
    results.finish()


if __name__ == "__main__":
    main()
