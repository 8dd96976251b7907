"""Check a dataset from end to end."""

from typing import TYPE_CHECKING

from mleg_ray.commands.options import DatasetPlace, uri_of

if TYPE_CHECKING:
    from mleg_ray.sampling.verification import Verification


def verify(dataset: DatasetPlace) -> "Verification":
    """Check a dataset from end to end: counts, hashes, schema, seeds, tallies, copies."""
    from mleg_ray.cluster.verify import verify

    return verify(uri_of(dataset))
