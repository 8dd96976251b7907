"""Search FAT-GAN's space; a first word names another recipe.

`ray job submit --working-dir . -- python jobs/tune_fatgan.py [RECIPE] [--resume]`
"""

import sys

from mleg_ray.cli import main

arguments = sys.argv[1:]
recipe = [] if arguments and not arguments[0].startswith("-") else ["fatgan-quick"]
main(["tune", *recipe, *arguments])
