"""Tables of other programs: ROOT, HDF5 and CSV."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import HEADER, Format, header, library

TREE = "events"


def _root(place: Path, columns: Columns, manifest: DatasetManifest) -> None:
    uproot = library("uproot", "ROOT")
    with uproot.recreate(place, compression=uproot.LZ4(4)) as file:
        file.mktree(TREE, {name: values.dtype for name, values in columns.items()})
        file[TREE].extend(dict(columns))
        file[HEADER] = json.dumps(header(manifest))


def _hdf5(place: Path, columns: Columns, manifest: DatasetManifest) -> None:
    h5py = library("h5py", "HDF5")
    with h5py.File(place, "w", track_order=True) as file:
        file.attrs[HEADER] = json.dumps(header(manifest))
        for field in manifest.fields:
            column = file.create_dataset(
                f"{TREE}/{field.name}",
                data=columns[field.name],
                shuffle=True,
                compression="gzip",
                compression_opts=1,
                chunks=True,
            )
            column.attrs["unit"] = field.unit
            column.attrs["role"] = field.role


def _csv(place: Path, columns: Columns, manifest: DatasetManifest) -> None:
    pyarrow.csv.write_csv(pa.table(dict(columns)), place)


ROOT = Format(".root", _root)
HDF5 = Format(".h5", _hdf5)
CSV = Format(".csv", _csv)
