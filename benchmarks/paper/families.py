"""A GAN, a flow and autoencoders on the same events.

Recipes of some minutes of one CPU, trained on 45% of tape2.txt and judged by its test half.
"""

from benchmarks.common.options import OnTapes
from benchmarks.common.results import Results
from benchmarks.physics.tape2_quality import compare

RECIPES = ("fatgan-quick", "flow-dis", "bvae-dis", "avae-dis", "wae-dis", "swae-dis")


def measure(options: OnTapes, results: Results) -> None:
    """Train, judge and draw the six."""
    compare(RECIPES, options.root, options, results, *options.quick("training.threads=1"))
