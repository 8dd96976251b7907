"""A folder of shards and the manifest that makes it a dataset."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from mleg_ray.catalog.description import SELECTED, Description
from mleg_ray.catalog.hits import hits_of
from mleg_ray.catalog.shards import ShardEntry, read_columns, read_shard
from mleg_ray.config import Config, read_config
from mleg_ray.definitions import Inequality, passing
from mleg_ray.errors import ConfigError, DataError, library
from mleg_ray.events import Events, EventSchema
from mleg_ray.folder import PLAN, FileEntry
from mleg_ray.storage import absolute, exists, join, matching, write_json

PREPARED = "dataset.json"
SAMPLED = "manifest.json"
DIGESTED = ("name", "fields", "groups", "conditions", "shards")  # of a manifest


class Bound(Config):
    """A number of events with its uncertainty; with None, it is at least so many."""

    events: float
    uncertainty: float | None


class Worth(Config):
    """What a sample can be used for, as found by so many `true_events` of a dataset's `split`.

    `truth` is that dataset's digest. With fewer events than `indistinguishable` no test, by its
    name, tells the sample from the truth; `equivalent` true events, by observable and region, have
    as large an error as the generator's own.
    """

    truth: str
    split: str
    true_events: int
    indistinguishable: dict[str, Bound]
    equivalent: dict[str, dict[str, Bound]]


class DatasetManifest(Description):
    """All that a reader of the shards must know; written last, so its presence means "whole".

    `bins` are those of the shards' tallies, if they have any; all events fulfil the comparisons of
    `where`, others were left out when they were made. The condition `partition` has one value in
    each shard, which the shard's folder tells, and no column does. `worth` is what `note_worth`
    writes there.
    """

    format_version: Literal[2] = 2
    provenance: dict[str, Any]
    shards: tuple[ShardEntry, ...]
    bins: FileEntry | None = None
    where: tuple[Inequality, ...] = ()
    partition: str | None = None
    worth: Worth | None = None

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        self.require_consistent()
        if self.partition is not None and self.partition not in self.schema_.conditions:
            raise ConfigError(f"partition: '{self.partition}' is no condition of the events")
        return self

    @property
    def stored(self) -> EventSchema:
        """What shards hold: all but the conditions that are in `conditions_of`."""
        return self.schema_.without({*self.conditions, self.partition})

    def conditions_of(self, shard: ShardEntry) -> dict[str, float]:
        """Return the conditions that have one value throughout a shard."""
        return self.conditions | shard.conditions


def seal(folder: str, file: str, manifest: DatasetManifest) -> "Dataset":
    """Write the manifest, the last file; keep one that says the same of the events.

    The run that made them may differ, and so may who judged them: what is complete is not touched.
    """
    place = join(folder, file)
    if exists(place):
        there = Dataset.open(folder)
        update = {"provenance": manifest.provenance, "worth": manifest.worth}
        if there.manifest.model_copy(update=update) == manifest:
            return there
    write_json(place, manifest.model_dump(mode="json"))
    return Dataset.open(folder)


def note_worth(sample: str, worth: Worth) -> None:
    """Write into a sample's manifest what it can be used for, in place of what was known before.

    Raises:
        DataError: the manifest is damaged.
        ResourceError: nothing can be written there.
    """
    place = join(sample, SAMPLED)
    manifest = read_config(DatasetManifest, place).model_copy(update={"worth": worth})
    write_json(place, manifest.model_dump(mode="json"))


def dataset_uri(storage: str, name: str) -> str:
    """Return the folder of a prepared dataset below a storage root."""
    return join(storage, "datasets", name)


class Dataset:
    """A prepared or generated dataset, or a part of one: events by split, in physical units.

    `digest` is a SHA-256 over name, schema, conditions and the digests of the whole's shards.
    `where` leaves out the events that do not fulfil all of its comparisons.
    """

    def __init__(
        self,
        uri: str,
        manifest: DatasetManifest,
        digest: str | None = None,
        where: tuple[str, ...] = (),
    ) -> None:
        self.uri = uri
        self.manifest = manifest
        self.schema = manifest.schema_
        self.digest = digest or manifest.digest(*DIGESTED)
        self._where = where
        self._rows: dict[str | None, int] = {}

    @staticmethod
    def open(uri: str) -> "Dataset":
        """Open a dataset's folder.

        Raises:
            DataError: the folder is absent, its manifest is not there yet, or it is damaged.
        """
        places = [join(uri, file) for file in (PREPARED, SAMPLED) if exists(join(uri, file))]
        if len(places) > 1:
            raise DataError(
                f"{uri}: holds both {PREPARED} and {SAMPLED}; remove the one that does not belong"
            )
        if not places and exists(join(uri, PLAN)):
            raise DataError(
                f"{uri}: not finished: it has a {PLAN}, but no {PREPARED} or {SAMPLED}; the "
                "command that began it completes it"
            )
        if not places:
            raise DataError(
                f"{uri}: no {PREPARED} or {SAMPLED}; the dataset is absent or not finished. "
                "`mleg prepare NAME` or `mleg sample` makes it or completes it."
            )
        [place] = places
        return Dataset(uri, read_config(DatasetManifest, place))

    @staticmethod
    def prepared(storage: str, name: str) -> "Dataset":
        """Open a prepared dataset below a storage root, by its name or by its TOML file.

        Raises:
            ConfigError: the TOML file is absent or invalid.
            DataError: there is none of that name, it is not finished, or damaged.
        """
        spec = name
        if name.endswith(".toml"):
            # Here, for it brings all sources with it, which readers of datasets do without.
            from mleg_ray.catalog.spec import DatasetSpec

            name = DatasetSpec.load(name).name
        if not exists(join(dataset_uri(storage, name), PREPARED)):
            manifests = matching(dataset_uri(storage, f"*/{PREPARED}"))
            known = [manifest.split("/")[-2] for manifest in manifests]
            raise DataError(
                f"no dataset '{name}' in {storage}, or not finished; there are: "
                f"{', '.join(known) or 'none'}. `mleg prepare {spec}` makes or completes it, if "
                "`mleg catalog list` has it"
            )
        return Dataset.open(dataset_uri(storage, name))

    @staticmethod
    def find(storage: str, text: str) -> tuple["Dataset", str | None]:
        """Open what `DATASET` or `DATASET:SPLIT` names: a folder, or a name below a storage root.

        Raises:
            DataError: see `open` and `prepared`; there is no such split.
        """
        name, colon, split = text.rpartition(":")
        if not colon or "/" in split:  # s3://bucket/sample
            name, split = text, ""
        dataset = Dataset.open(absolute(name)) if "/" in name else Dataset.prepared(storage, name)
        dataset.shards(split or None)
        return dataset, split or None

    def at(self, conditions: Mapping[str, float]) -> "Dataset":
        """Return the part whose shards were made under these values of varying conditions.

        Its name tells them, its digest is the whole's.

        Raises:
            DataError: no condition of that name, another fixed value, or no shard of that value.
        """
        fixed = self.manifest.conditions
        for name, value in conditions.items():
            if name not in self.schema.conditions:
                known = ", ".join(self.schema.conditions) or "none"
                raise DataError(f"{self.uri}: no condition '{name}'; it has: {known}")
            if fixed.get(name, value) != value:
                raise DataError(
                    f"{self.uri}: condition '{name}' is {fixed[name]:g} throughout, not {value:g}"
                )
        varying = {name: value for name, value in conditions.items() if name not in fixed}
        shards = tuple(s for s in self.manifest.shards if varying.items() <= s.conditions.items())
        if not shards:
            there = {_listed(shard.conditions) for shard in self.manifest.shards} - {""}
            raise DataError(
                f"{self.uri}: no shard was made at {_listed(varying)} throughout; there are shards "
                f"at {'; '.join(sorted(there)) or 'values that vary from event to event only'}"
            )
        name = self.manifest.name + "".join(f"-{key}{value:g}" for key, value in varying.items())
        update = {"name": name, "shards": shards, "conditions": fixed | varying}
        return Dataset(self.uri, self.manifest.model_copy(update=update), self.digest, self._where)

    def selecting(self, where: tuple[str, ...]) -> "Dataset":
        """Return the events that fulfil all comparisons, of fields, conditions and observables.

        Its name tells them, its digest is the whole's. To count its events all must be read.
        """
        where = tuple(comparison for comparison in where if comparison not in self._where)
        if not where:
            return self
        name = f"{self.manifest.name}{SELECTED}{' and '.join(where)}"
        manifest = self.manifest.model_copy(update={"name": name})
        return Dataset(self.uri, manifest, self.digest, (*self._where, *where))

    def shards(self, split: str | None = None) -> list[ShardEntry]:
        """Return the shards of a split (all if None); `DataError` if there are none."""
        chosen = [shard for shard in self.manifest.shards if split in (None, shard.split)]
        if not chosen:
            known = sorted({shard.split for shard in self.manifest.shards})
            raise DataError(f"{self.uri}: no shards in split '{split}'; it has {', '.join(known)}")
        return chosen

    def rows(self, split: str | None = None) -> int:
        """Return the number of events of a split."""
        if split not in self._rows:
            self._rows[split] = self.rows_of(self.shards(split))
        return self._rows[split]

    def rows_of(self, shards: Iterable[ShardEntry]) -> int:
        """Return the number of events of some shards, which are read if not all events count."""
        if self._where:
            return sum(map(len, self.read(shards)))
        return sum(shard.rows for shard in shards)

    def chunks(self, split: str | None = None) -> Iterator[Events]:
        """Yield the events of each shard of a split, verified against its SHA-256."""
        return self.read(self.shards(split))

    def read(self, shards: Iterable[ShardEntry]) -> Iterator[Events]:
        """Yield the events of each shard, labels among them, verified against its SHA-256."""
        manifest = self.manifest
        for shard in shards:
            conditions = manifest.conditions_of(shard)
            yield self.chosen(read_shard(self.uri, shard, manifest.stored, self.schema, conditions))

    def columns(self, shard: ShardEntry) -> dict[str, NDArray[Any]]:
        """Return a shard's fields as columns (see `codec`), conditions of one value among them.

        Raises:
            DataError: the shard is gone, truncated or altered.
        """
        columns = read_columns(self.uri, shard, self.manifest.stored)
        fixed = self.manifest.conditions_of(shard)
        for field in self.manifest.fields:
            if field.name not in columns:
                columns[field.name] = np.full(shard.rows, fixed[field.name], dtype=field.dtype)
        return columns

    def chosen(self, events: Events) -> Events:
        """Return those of the events that fulfil all comparisons of `where`."""
        if not self._where:
            return events
        return events[passing(self._where, self.manifest.joined(events))]

    def hits(self, image: str, split: str | None = None) -> Any:  # noqa: ANN401 - of awkward
        """Return the cells of a split's images that are not zero, a list for each event.

        They are an awkward array, see `mleg_ray.catalog.hits`, made of one shard after the other,
        so that dense images need not fit into memory.

        Raises:
            DataError: there is no such image, or it has more axes than layers, rows and columns.
            UserError: awkward is not installed.
        """
        images = [field.name for field in self.manifest.fields if field.shape]
        if image not in images:
            known = ", ".join(images) or "none"
            raise DataError(f"{self.uri}: no image '{image}'; it has: {known}")
        awkward = library("awkward", "hits")
        return awkward.concatenate(
            [hits_of(events.columns[image].numpy()) for events in self.chunks(split)]
        )

    def load(self, split: str | None = None, max_events: int | None = None) -> Events:
        """Read the events of a split, whole shards first to last, at most `max_events`."""
        parts: list[Events] = []
        for events in self.chunks(split):
            parts.append(events)
            if max_events is not None and sum(map(len, parts)) >= max_events:
                break
        return Events.concatenate(parts)[: max_events or None]


def _listed(conditions: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in conditions.items())
