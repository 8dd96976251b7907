"""Generate a dataset.

`ray job submit --working-dir . -- python jobs/sample.py CHECKPOINT --events 1e9`
"""

import sys

from mleg_ray.cli import main

main(["sample", *sys.argv[1:]])
