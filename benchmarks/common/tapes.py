"""The events of the authors of FAT-GAN and cFAT-GAN, which are not part of the project."""

from mleg_ray.catalog.spec import DatasetSpec

SHARD_EVENTS = 5000


def tapes(name: str, root: str, *assignments: str) -> DatasetSpec:
    """Return the dataset of that name in the catalog, whose files lie in the folder `root`."""
    own = (f"source.root={root}", f"shard_events={SHARD_EVENTS}")
    return DatasetSpec.load(name, (*own, *assignments))
