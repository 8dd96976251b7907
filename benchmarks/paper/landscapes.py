"""How depth and shortcuts shape the surface of GANs' losses.

FAT-GAN with 10 and 15 residual blocks and with 15 plain layers in both networks, all alike
otherwise, learns 45% of the FAT-GAN authors' events; then the surface of both players' losses is
computed around the trained weights. The reports lie in the storage.
"""

import itertools
from collections.abc import Mapping

from matplotlib.figure import Figure

from benchmarks.common.options import SMALL_GAN, OnTapes
from benchmarks.common.results import Results, Row
from mleg_ray.commands.analyses import survey
from mleg_ray.interpret.landscape import Landscape, LandscapeSpec
from mleg_ray.report.landscape import draw_contours
from mleg_ray.storage import join

NETWORKS = {"10 residual": (10, True), "15 residual": (15, True), "15 plain": (15, False)}
# Further out the generator's T(pz) = log(E_b - pz) overflows.
REACH = {"critic": 1.0, "generator": 0.25}
QUICK = (*SMALL_GAN, "training.steps=1000", "selection.every=50")


def measure(options: OnTapes, results: Results) -> None:
    """Train each network, and compute both players' surfaces."""
    recipe = options.for_budget("fatgan")
    options.require(recipe)
    dataset = options.tape2(options.root)
    drawn: dict[tuple[str, str], Landscape] = {}
    for name, (blocks, residual) in options.some(list(NETWORKS.items())):
        for seed in options.seeds:
            own = networks(blocks, residual, 512 if options.full else 64)
            values = (*options.quick(*QUICK), *own)
            checkpoint = options.trained(recipe, seed, *values, dataset=dataset)
            for player, reach in REACH.items():
                spec = LandscapeSpec(
                    player=player,
                    grid=options.few(21, 5),
                    reach=reach,
                    pairs=3,
                    events=options.few(2000, 100),
                    seed=seed,
                )
                folder = f"{checkpoint.digest[:8]}-{player}-{seed}"
                out = join(options.place, "landscapes", folder)
                found = survey(checkpoint, spec, options.place, out)
                figures: Row = {"ks_sum": checkpoint.card.metrics["ks_sum"], "loss": found.loss}
                for figure in ("span", "roughness", "nonconvex_share"):
                    spread = getattr(found, figure)
                    figures[figure] = [spread.value, spread.uncertainty]
                results.add({"blocks": name, "player": player}, figures, seed=seed)
                drawn.setdefault((name, player), found)
    results.draw(contours, drawn)


def networks(blocks: int, residual: bool, width: int) -> tuple[str, ...]:
    """Return assignments: a layer that lifts the input to the width, then the blocks.

    Nothing is dropped out, so that all three critics differ in their blocks alone.
    """
    table = f"{{ widths = {[width] * (blocks + 1)}, residual = {str(residual).lower()} }}"
    return (f"model.generator={table}", f"model.critic={table}")


def contours(found: Mapping[tuple[str, str], Landscape]) -> Figure:
    """Draw the first pair's contours of every network (across) and player (down)."""
    figure = Figure(figsize=(10.2, 6.4), layout="constrained")
    names = list(dict.fromkeys(name for name, _ in found))
    panels = figure.subplots(len(REACH), len(names), squeeze=False)
    for panel, (player, name) in zip(panels.flat, itertools.product(REACH, names), strict=True):
        draw_contours(panel, found[name, player], pair=0)
        panel.set_title(f"{player}, {name}")
    return figure
