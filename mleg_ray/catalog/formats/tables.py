"""Tables of other programs: ROOT, HDF5, Parquet and CSV."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from mleg_ray.catalog.codec import Columns, to_table
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import HEADER, Format, header
from mleg_ray.errors import ConfigError, library
from mleg_ray.events import COUNT, Field

TREE = "events"


class Root(Format):
    """A TTree: of a group of objects a jagged branch each, `jet_pt`, and their number `njet`.

    An image is a branch of its shape.
    """

    suffix = ".root"

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write the tree, and where its events are from beside it."""
        uproot, awkward = library("uproot", "ROOT"), library("awkward", "ROOT")
        schema = manifest.schema_
        branches: dict[str, Any] = {}
        for field in manifest.fields:
            if field.group not in schema.objects:
                branches[_branch(field)] = columns[field.name]
        for group in schema.objects:
            parts = {
                f.name.partition(".")[2]: awkward.Array(columns[f.name])
                for f in manifest.fields
                if f.group == group
            }
            branches[group] = awkward.unflatten(awkward.zip(parts), columns[f"{group}.{COUNT}"])
        with uproot.recreate(place, compression=uproot.LZ4(4)) as file:
            file.mktree(
                TREE,
                {
                    name: values.type
                    if hasattr(values, "type")
                    else (values.dtype, values.shape[1:])
                    for name, values in branches.items()
                },
            )
            file[TREE].extend(branches)
            file[HEADER] = json.dumps(header(manifest))

    def require(self, manifest: DatasetManifest) -> None:
        """Refuse branches of one name."""
        counts = [f"n{group}" for group in manifest.schema_.objects]
        for name, times in Counter([*map(_branch, manifest.fields), *counts]).items():
            if times > 1:
                raise ConfigError(
                    f"{manifest.name}: {times} branches of a ROOT file would be called '{name}', "
                    "where jet.pt is jet_pt and the number of jets njet; convert to hdf5"
                )


class Hdf5(Format):
    """A dataset each, `events/jet.pt`: of objects flat, beside `events/jet.count`."""

    suffix = ".h5"

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write the datasets, each with its unit and role."""
        h5py = library("h5py", "HDF5")
        fields = {field.name: field for field in manifest.fields}
        with h5py.File(place, "w", track_order=True) as file:
            file.attrs[HEADER] = json.dumps(header(manifest))
            for name, values in columns.items():
                column = file.create_dataset(
                    f"{TREE}/{name}",
                    data=values,
                    shuffle=True,
                    compression="gzip",
                    compression_opts=1,
                    chunks=True,
                )
                if name in fields:
                    column.attrs["unit"] = fields[name].unit
                    column.attrs["role"] = fields[name].role


class Parquet(Format):
    """A table as in the shards, in an encoding that every reader of Parquet knows."""

    suffix = ".parquet"

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write the table, objects as lists of records."""
        table = to_table(columns, manifest.schema_, {HEADER: json.dumps(header(manifest))})
        pq.write_table(table, place)


class Csv(Format):
    """A table of one number in a column, whose first line names them."""

    suffix = ".csv"

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write the table."""
        pyarrow.csv.write_csv(pa.table({f.name: columns[f.name] for f in manifest.fields}), place)

    def require(self, manifest: DatasetManifest) -> None:
        """Refuse images and objects."""
        schema = manifest.schema_
        wide = [f.name for f in manifest.fields if f.shape or f.group in schema.objects]
        if wide:
            raise ConfigError(
                f"{manifest.name}: CSV has one number in a column, and '{wide[0]}' has more; "
                "convert to root or hdf5"
            )


def _branch(field: Field) -> str:
    return field.name.replace(".", "_")
