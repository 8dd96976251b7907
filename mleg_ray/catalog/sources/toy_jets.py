"""The toy events of a varying number of jets, of a density with a closed form."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from mleg_ray.catalog.codec import Columns, of_events
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.drawn import DrawnConfig, require_schema
from mleg_ray.events import EventSchema, Field, Group
from mleg_ray.physics import toy_jets

SCHEMA = EventSchema(
    (
        Field(name="jet.pt", unit="GeV"),
        Field(name="jet.eta"),
        Field(name="jet.phi", unit="rad"),
        Field(name="jet.flavour", dtype="int8"),
        Field(name="met.pt", unit="GeV"),
        Field(name="met.phi", unit="rad"),
        Field(name="weight", role="weight"),
    ),
    {"jet": Group(most=toy_jets.MOST, ordered_by="pt"), "met": Group()},
)


@SOURCES.register
class ToyJetsConfig(DrawnConfig):
    """Up to 8 jets, a missing momentum and a weight of ±1, see `mleg_ray.physics.toy_jets`."""

    kind: Literal["toy-jets"] = "toy-jets"

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the schema has these events' fields, the weight among them."""
        self.require(schema, conditions)

    def require(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the schema has these events' fields."""
        require_schema(self.kind, schema, SCHEMA)

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n events."""
        return of_events(toy_jets.sample(rng, n), SCHEMA)
