"""Make a dataset: `ray job submit --working-dir . -- python jobs/prepare.py dis-ep-50`."""

import sys

from mleg_ray.cli import main

main(["prepare", *sys.argv[1:]])
