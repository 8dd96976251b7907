"""DS-GAN and FAT-GAN in Cartesian and in spherical momenta.

All are trained on 45% of tape2.txt with the same networks, and judged by its test half; how the
validation score fell is drawn.
"""

from benchmarks.common.options import SMALL_GAN, OnTapes
from benchmarks.common.results import Results
from benchmarks.physics.tape2_quality import compare

RECIPES = ("dsgan", "fatgan", "fatgan-spherical")


def measure(options: OnTapes, results: Results) -> None:
    """Train, judge and draw the three."""
    recipes = [options.for_budget(name) for name in RECIPES]
    compare(recipes, options.root, options, results, *options.quick(*SMALL_GAN))
