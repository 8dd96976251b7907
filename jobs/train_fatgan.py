"""Train FAT-GAN with the paper's values: `ray job submit --working-dir . -- python jobs/train_fatgan.py`.

Options of `mleg train` follow, such as `--workers 4`; a first word names another recipe.
"""

import sys

from mleg_ray.cli import main

arguments = sys.argv[1:]
recipe = [] if arguments and not arguments[0].startswith("-") else ["fatgan"]
main(["train", *recipe, *arguments])
