"""From a recipe to a judged sample.

`ray job submit --working-dir . -- python jobs/produce.py student-dis --events 1e9`
"""

import sys

from mleg_ray.cli import main

main(["produce", *sys.argv[1:]])
