"""The toy images of a blob of energy, of which the moments have closed forms."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.drawn import DrawnConfig, require_schema
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field
from mleg_ray.physics.toy_images import BLOBS, energies

IMAGE, ENERGY = "image", "energy"


@SOURCES.register
class ToyImagesConfig(DrawnConfig):
    """Images of 16 x 16 cells, or of two `layers` of 12 x 12, see `mleg_ray.physics.toy_images`.

    The condition `energy` (GeV) differs from event to event.
    """

    kind: Literal["toy-images"] = "toy-images"
    layers: Literal[1, 2] = 1

    def require(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the schema has an image of this shape and its energy."""
        image = Field(name=IMAGE, unit="GeV", shape=BLOBS[self.layers].shape)
        energy = Field(name=ENERGY, unit="GeV", role="condition")
        require_schema(self.kind, schema, EventSchema((image, energy)))
        if conditions:
            raise ConfigError(f"kind: {self.kind} draws the {ENERGY}; leave it out of [conditions]")

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n images and their energies."""
        energy = energies(rng, n)
        return {IMAGE: BLOBS[self.layers].sample(rng, energy), ENERGY: energy}
