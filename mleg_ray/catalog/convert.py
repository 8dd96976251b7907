"""A dataset's shards in other formats, one file a shard."""

import tempfile
from pathlib import Path

import numpy as np

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import Dataset, DatasetManifest
from mleg_ray.catalog.formats.records import DARK_MACHINES, LES_HOUCHES
from mleg_ray.catalog.formats.tables import CSV, HDF5, ROOT
from mleg_ray.catalog.shards import FileEntry, ShardEntry, read_columns
from mleg_ray.errors import ConfigError
from mleg_ray.storage import exists, join, read_bytes, storage_errors, write_bytes

FORMATS = {
    "root": ROOT,
    "hdf5": HDF5,
    "csv": CSV,
    "dark-machines": DARK_MACHINES,
    "lhe": LES_HOUCHES,
}


def convert_shard(
    uri: str, manifest: DatasetManifest, shard: ShardEntry, kind: str, out: str
) -> FileEntry:
    """Write a shard of a dataset in another format, unless it is there; return what is there.

    A file has its name only when it is whole.

    Raises:
        DataError: the shard is gone, truncated or altered.
        UserError: a library is missing, or the target cannot be written.
    """
    form = FORMATS[kind]
    name = f"{Path(shard.file).stem}{form.suffix}"
    if exists(join(out, name)):
        return FileEntry.of(name, read_bytes(join(out, name)))
    schema = manifest.schema_
    columns = read_columns(uri, shard, schema, manifest.stored_fields)
    fixed = manifest.conditions_of(shard)
    for field in manifest.fields:
        if field.name not in columns:
            columns[field.name] = np.full(shard.rows, fixed[field.name], dtype=field.dtype)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / name
        with storage_errors(str(place)):
            form.write(place, columns, manifest)
            content = place.read_bytes()
    write_bytes(join(out, name), content)
    return FileEntry.of(name, content)


def require_convertible(dataset: Dataset, kind: str) -> None:
    """Fail now where the work would fail later.

    Raises:
        ConfigError: no such format, or the dataset lacks what the format needs.
        UserError: a library is missing.
    """
    if kind not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigError(f"--to {kind}: there are {known}; shards are Parquet already")
    FORMATS[kind].require(dataset.manifest)
    one = of_events(dataset.schema.example(), dataset.schema)
    with tempfile.TemporaryDirectory() as folder:
        FORMATS[kind].write(Path(folder) / "one", one, dataset.manifest)
