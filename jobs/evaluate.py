"""Judge a sample.

`ray job submit --working-dir . -- python jobs/evaluate.py SAMPLE --truth dis-ep-50`
"""

import sys

from mleg_ray.cli import main

main(["evaluate", *sys.argv[1:]])
