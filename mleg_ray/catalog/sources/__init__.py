"""Sources of events: one module each, entered in `SOURCES` when this package is imported."""

from mleg_ray.catalog.sources import (
    densities,
    detectors,
    fixed_target,
    gun,
    photoproduction,
    pythia,
    pythia_pp,
    records,
    rich,
    tables,
    toys,
    weighted,
)
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig

__all__ = [
    "SOURCES",
    "Source",
    "SourceConfig",
    "densities",
    "detectors",
    "fixed_target",
    "gun",
    "photoproduction",
    "pythia",
    "pythia_pp",
    "records",
    "rich",
    "tables",
    "toys",
    "weighted",
]
