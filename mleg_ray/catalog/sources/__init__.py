"""Sources of events: one module each, entered in `SOURCES` when this package is imported."""

from mleg_ray.catalog.sources import (
    calochallenge,
    densities,
    detectors,
    fixed_target,
    gun,
    photoproduction,
    pythia,
    pythia_pp,
    records,
    rich,
    showers,
    tables,
    toys,
    tpc,
    weighted,
)
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig

__all__ = [
    "SOURCES",
    "Source",
    "SourceConfig",
    "calochallenge",
    "densities",
    "detectors",
    "fixed_target",
    "gun",
    "photoproduction",
    "pythia",
    "pythia_pp",
    "records",
    "rich",
    "showers",
    "tables",
    "toys",
    "tpc",
    "weighted",
]
