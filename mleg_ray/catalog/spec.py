"""What a dataset is: one TOML file of the catalog, read into a `DatasetSpec`."""

import itertools
import math
from typing import Annotated, Self

from pydantic import Field as Option
from pydantic import PositiveInt, SerializeAsAny, model_validator

from mleg_ray.catalog.description import Description
from mleg_ray.catalog.sources import SOURCES, SourceConfig
from mleg_ray.config import Config, inside, override, parse, read_extended
from mleg_ray.definitions.expressions import resolve
from mleg_ray.errors import ConfigError

FOLDER = "data_catalog"
CONVERTED = ("MeV", "TeV", "deg", "cm", "mm")  # units that functions of physics do not take


class Splits(Config):
    """Fractions of the events, by whole shard: train, choose the snapshot, quote the result."""

    train: float = Option(ge=0, le=1)
    validation: float = Option(ge=0, le=1)
    test: float = Option(ge=0, le=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if not math.isclose(self.train + self.validation + self.test, 1.0, abs_tol=1e-9):
            raise ValueError("train, validation and test must sum to 1")
        return self

    def assign(self, n_shards: int) -> list[str]:
        """Give each shard its split so that every head of the list is as close as can be."""
        fractions = self.model_dump()
        counts = dict.fromkeys(fractions, 0)
        assigned = []
        for i in range(n_shards):
            split = max(fractions, key=lambda name: fractions[name] * (i + 1) - counts[name])
            counts[split] += 1
            assigned.append(split)
        return assigned


class DatasetSpec(Description):
    """One dataset: its fields and definitions, its source and its splits."""

    name: str = Option(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: PositiveInt
    description: str
    citation: str
    licence: str
    shard_events: PositiveInt
    source: SerializeAsAny[Annotated[SourceConfig, SOURCES.chosen()]]
    splits: Splits

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        schema = self.schema_
        with inside("source"):
            self.source.check(schema, self.conditions)
        self.require_consistent()
        self._require_units()
        return self

    def _require_units(self) -> None:
        """Raise `ConfigError` unless observables are in the units of the functions that they call.

        What is in GeV is so of fields in GeV and radians only.
        """
        units: dict[str, str] = {field.name: field.unit for field in self.fields}
        for name, observable in self.observables.items():
            function, arguments = resolve(observable.expression, units)
            unit = function.unit or observable.unit
            for argument in itertools.chain(*arguments.values()):
                if "GeV" in unit and units.get(argument) in CONVERTED:
                    raise ConfigError(
                        f"observables.{name}: in {unit} of fields in GeV and radians, and "
                        f"'{argument}' is in {units[argument]}; declare that field in GeV or rad: "
                        "sources convert what they read"
                    )
            if observable.unit != unit:
                raise ConfigError(
                    f"observables.{name}.unit: '{observable.expression}' is in {unit}; leave the "
                    f"unit out (got {observable.unit!r})"
                )
            units[name] = unit

    @staticmethod
    def load(name: str, assignments: tuple[str, ...] = ()) -> "DatasetSpec":
        """Read `data_catalog/NAME.toml` or a path, with `--set` assignments applied.

        It may extend another entry, see `read_extended`.
        """
        values, origin = read_extended(name, FOLDER, "source")
        return parse(DatasetSpec, override(values, assignments), origin)
