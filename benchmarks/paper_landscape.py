"""How the depth of a GAN's networks, and shortcuts over its layers, shape the surface of its loss.

    python benchmarks/paper_landscape.py --root FOLDER_OF_THE_TAPES

Trains FAT-GAN with 10 and 15 residual blocks and with 15 plain layers in both networks, all alike
otherwise, on 45% of the FAT-GAN authors' events, and computes the surface of both players' losses
around the trained weights. `full` has the paper's widths and steps, for a GPU. Prints a row for
each network and player, writes JSON and pictures.
"""

import argparse
import json
import os
from typing import Any, Literal

from paper_electron import RESULTS, SMALL_GAN
from tape2_quality import DATASET, rounded

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import environment
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.interpret.events import validation_events
from mleg_ray.interpret.landscape import LandscapeSpec, landscape
from mleg_ray.report.landscape import write_landscape
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute

BLOCKS = {"10 residual": (10, True), "15 residual": (15, True), "15 plain": (15, False)}
# Further out the generator's T(pz) = log(E_b - pz) overflows.
REACH: dict[Literal["critic", "generator"], float] = {"critic": 1.0, "generator": 0.25}
WIDTH = {"quick": 64, "full": 512}
SHORT = (*SMALL_GAN, "training.steps=1000", "selection.every=50")


def networks(blocks: int, residual: bool, width: int) -> tuple[str, ...]:
    """Return assignments: a layer that lifts the input to the width, then the blocks.

    Nothing is dropped out, so that all three critics differ in their blocks alone.
    """
    table = f"{{ widths = {[width] * (blocks + 1)}, residual = {str(residual).lower()} }}"
    return (f"model.generator={table}", f"model.critic={table}")


def main() -> None:
    """Train each network, compute both players' surfaces; print the rows, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--budget", choices=sorted(WIDTH), default="quick")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    budget = SHORT if options.budget == "quick" else ()
    own = (f"dataset={DATASET}", f"training.seed={options.seed}")
    rows: list[dict[str, Any]] = []
    with ray_session():
        dataset = prepare(DatasetSpec.load(DATASET, (f"source.root={options.root}",)), storage)
        for name, (blocks, residual) in BLOCKS.items():
            assignments = (*budget, *networks(blocks, residual, WIDTH[options.budget]))
            run = RunConfig.load("fatgan", (*own, *assignments))
            checkpoint = train(run, dataset, storage, name=run_name("fatgan", run, dataset))
            for player, reach in REACH.items():
                spec = LandscapeSpec(player=player, reach=reach, pairs=3, seed=options.seed)
                found = landscape(
                    checkpoint, validation_events(dataset, spec.events, options.seed), spec
                )
                folder = RESULTS / f"landscape-{name.replace(' ', '-')}-{player}"
                write_landscape(found, str(folder))
                figures = found.model_dump(include={"loss", "span", "roughness", "nonconvex_share"})
                ks_sum = checkpoint.card.metrics["ks_sum"]
                rows.append({"blocks": name, "player": player, "ks_sum": ks_sum, **figures})
                print(rounded(rows[-1]), flush=True)
    RESULTS.mkdir(exist_ok=True)
    result = {"cores": os.cpu_count(), "rows": rows, "with": environment()}
    place = RESULTS / f"paper-landscape-{options.budget}.json"
    place.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
