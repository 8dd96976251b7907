"""The electron-scattering systems of the machine-learning event generator dissertation, row by row.

    python benchmarks/paper_electron.py coordinates --root FOLDER_OF_THE_TAPES
    python benchmarks/paper_electron.py acceptance --budget full

`quick` gives every GAN of the dissertation the same small networks and a few thousand steps, some
minutes of one CPU; `full` is the recipes as they are, for a GPU; `smoke` takes seconds, to see that
a row runs, with a few steps and events of the first of its systems. Prints a table, the medians of
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
import sys
from collections.abc import Callable
from pathlib import Path

from paper import (
    acceptance,
    amplification,
    energies,
    exclusive,
    folding,
    landscapes,
    latent,
    tape2,
    unfolding,
)
from paper.measuring import Options, Results

from mleg_ray.cluster.session import ray_session
from mleg_ray.console import say
from mleg_ray.errors import UserError
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join

# What measures each row, and the recipes that it trains.
ROWS: dict[str, tuple[Callable[[Options, Results], None], tuple[str, ...]]] = {
    **{row: (tape2.compare, recipes) for row, recipes in tape2.RECIPES.items()},
    "acceptance": (acceptance.acceptance, acceptance.RECIPES),
    "energies": (energies.energies, (energies.RECIPE,)),
    "folding": (folding.folding, tuple(folding.SYSTEMS)),
    "unfolding": (unfolding.unfolding, unfolding.RECIPES),
    "amplification": (amplification.amplification, amplification.RECIPES),
    "exclusive": (exclusive.exclusive, (exclusive.FLOW, exclusive.GAN)),
    "latent": (latent.latent, (exclusive.GAN, energies.RECIPE)),
    "landscapes": (landscapes.landscapes, (landscapes.RECIPE,)),
}
OF_THE_TAPES = {*tape2.RECIPES, "landscapes"}


def asked() -> Options:
    """Read the command line; what is wrong there is told before anything is prepared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("row", choices=list(ROWS))
    parser.add_argument("--root", default="", help="the folder of the authors' tapes")
    parser.add_argument("--budget", choices=["smoke", "quick", "full"], default="quick")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="SEED")
    parser.add_argument("--replicas", type=int, default=10, help="of an unfolding ensemble")
    parser.add_argument(
        "--set", nargs="*", default=[], dest="assignments", metavar="KEY=VALUE", help="of recipes"
    )
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    given = parser.parse_args()
    if given.row in OF_THE_TAPES and not given.root:
        parser.error(f"{given.row} needs --root, the folder of the authors' tapes")
    if given.root and not Path(given.root).is_dir():
        parser.error(f"--root {given.root}: no such folder")
    if given.replicas < 3:
        parser.error("--replicas: an ensemble of fewer than 3 has no spread worth the name")
    if min(given.seeds) < 1 or len(set(given.seeds)) < len(given.seeds):
        parser.error("--seeds: positive numbers, each once")
    for recipe in ROWS[given.row][1]:
        RunConfig.load(recipe, tuple(given.assignments))
    return Options(
        row=given.row,
        budget=given.budget,
        root=given.root,
        seeds=tuple(given.seeds),
        replicas=given.replicas,
        assignments=tuple(given.assignments),
        storage=absolute(
            given.storage if given.budget != "smoke" else join(given.storage, "smoke")
        ),
    )


def main() -> None:
    """Measure a row with each seed."""
    try:
        options = asked()
        measure, _ = ROWS[options.row]
        results = Results(options)
        with ray_session():
            measure(options, results)
        results.finish()
    except UserError as error:
        say(f"error: {error}", style="red")
        sys.exit(2)


if __name__ == "__main__":
    main()
