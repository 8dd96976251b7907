"""`python -m mleg_ray` is `mleg`."""

from mleg_ray.cli import main

main()
