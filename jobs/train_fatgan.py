"""Train FAT-GAN with the paper's values; a first word names another recipe.

`ray job submit --working-dir . -- python jobs/train_fatgan.py [RECIPE] --workers 4`
"""

import sys

from mleg_ray.cli import main

arguments = sys.argv[1:]
recipe = [] if arguments and not arguments[0].startswith("-") else ["fatgan"]
main(["train", *recipe, *arguments])
