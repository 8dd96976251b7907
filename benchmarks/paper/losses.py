"""FAT-GAN under six adversarial losses.

All are trained on 45% of tape2.txt with the same networks, and judged by its test half.
"""

from benchmarks.common.options import SMALL_GAN, OnTapes
from benchmarks.common.results import Results
from benchmarks.physics.tape2_quality import compare

RECIPES = (
    *("fatgan-vanilla", "fatgan-lsgan", "fatgan-wgan-clipped", "fatgan", "fatgan-one-sided"),
    "fatgan-mmd-gan",
)


def measure(options: OnTapes, results: Results) -> None:
    """Train, judge and draw the six."""
    compare(RECIPES, options.root, options, results, *options.quick(*SMALL_GAN))
