"""Open a dataset for an analysis in Python."""

from typing import Any, Literal

from mleg_ray.commands.options import Place


def open(
    dataset: Place,
    to: Literal["awkward", "pandas", "polars", "ray-data"] = "awkward",
    *,
    storage: str | None = None,
) -> Any:  # noqa: ANN401 - of other libraries
    """Return the events of a dataset or sample, DATASET or DATASET:SPLIT, with weights.

    They are an array of awkward, whose momenta are those of vector, or a frame of pandas; or, read
    shard by shard when asked for, a lazy frame of polars or a dataset of Ray Data. See
    `mleg_ray.catalog.opening` and `mleg_ray.cluster.opening`, also for their units.

    Raises:
        ConfigError: no such kind.
        DataError: no such dataset or split, a shard is gone or altered, or a frame has no place for
            what an event has.
        UserError: a library is missing.
    """
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.catalog.opening import KINDS
    from mleg_ray.errors import ConfigError
    from mleg_ray.storage import storage_root

    if to not in (*KINDS, "ray-data"):
        raise ConfigError(f"open: to={to!r}: there are {', '.join(KINDS)} and ray-data")
    found, split = Dataset.find(storage_root(storage), str(getattr(dataset, "uri", dataset)))
    if to == "ray-data":
        from mleg_ray.cluster.opening import as_ray

        return as_ray(found, split)
    return KINDS[to](found, split)
