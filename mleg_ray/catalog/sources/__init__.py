"""Sources of events: one module each, entered in `SOURCES` when this package is imported."""

from mleg_ray.catalog.sources import (
    detectors,
    fixed_target,
    photoproduction,
    pythia,
    pythia_pp,
    records,
    showers,
    tables,
    toys,
)
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig

__all__ = [
    "SOURCES",
    "Source",
    "SourceConfig",
    "detectors",
    "fixed_target",
    "photoproduction",
    "pythia",
    "pythia_pp",
    "records",
    "showers",
    "tables",
    "toys",
]
