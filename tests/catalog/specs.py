"""Small dataset specifications for tests."""

from pathlib import Path

import numpy as np

from mleg_ray.catalog.spec import DatasetSpec


def pythia_spec(*assignments: str) -> DatasetSpec:
    """Return dis-ep-50 with 600 events in 10 shards."""
    return DatasetSpec.load(
        "dis-ep-50", ("source.events=600", "shard_events=60", "name=small", *assignments)
    )


def table_spec(root: Path, *assignments: str) -> DatasetSpec:
    """Return dis-ep-50-tape2 with the files below `root`, in shards of 20 events."""
    return DatasetSpec.load(
        "dis-ep-50-tape2", (f"source.root={root}", "shard_events=20", "name=small", *assignments)
    )


def write_tape(root: Path, events: int = 400) -> Path:
    """Write events with every number different, as the file that `table_spec` reads."""
    file = root / "fat-gan" / "tape2.txt"
    file.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    pt, phi, energy = (
        rng.uniform(2, 3, events),
        rng.uniform(-3, 3, events),
        np.linspace(40, 49, events),
    )
    columns = [energy, pt * np.cos(phi), pt * np.sin(phi), np.sqrt(energy**2 - pt**2)]
    np.savetxt(file, np.column_stack(columns), delimiter=",", fmt="%.7g")
    return file
