"""The user's own list of particles, as a dataset: what a generator is given, row by row."""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

import numpy as np

from mleg_ray.catalog.sources.files import InputFiles
from mleg_ray.catalog.sources.readers import FileFormat, read_table
from mleg_ray.catalog.sources.tables import Column, ImportConfig
from mleg_ray.catalog.spec import DatasetSpec, Splits
from mleg_ray.errors import ConfigError
from mleg_ray.events import Field, Group
from mleg_ray.storage import sha256, sha256_of

SHARD_ROWS = 250_000
LARGEST = np.iinfo(np.int32).max
SUFFIXES = (".parquet", ".csv", ".txt", ".npy", ".npz", ".h5", ".hdf5", ".root")
FORMAT = FileFormat(header=True)


def is_file(text: str) -> bool:
    """Tell whether a text names a file of rows, rather than a dataset."""
    return PurePosixPath(text).suffix.lower() in SUFFIXES


def listed(uri: str, given: Sequence[Field], keep: Collection[str] = ()) -> DatasetSpec:
    """Return the dataset of a file's rows, in their order.

    The columns have the names of the conditions `given` and are in their units; the columns `keep`,
    a particle's number say, become labels: whole numbers if all are, double precision else.

    Raises:
        ConfigError: a column is to be kept that has the name of a condition.
        DataError: a column is absent, or a number of it is not finite.
    """
    conditions = [field.name for field in given]
    for name in keep:
        if name in conditions:
            raise ConfigError(f"--keep {name}: a condition of the checkpoint is kept anyway")
        if not name.isidentifier():
            raise ConfigError(f"--keep {name}: name the column with letters, digits and '_' alone")
    rows = read_table(uri, [*conditions, *keep], FORMAT)
    fields = [field.model_copy(update={"role": "event"}) for field in given]
    for name in keep:
        values = np.asarray(rows[name])
        whole = (values == np.rint(values)).all() and np.abs(values).max(initial=0) <= LARGEST
        fields.append(Field(name=name, role="label", dtype="int32" if whole else "float64"))
    stem = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(uri).stem.lower()).strip("-")
    told = sha256(" ".join([sha256_of(uri), *sorted(conditions), *sorted(keep)]).encode())
    columns = {field.name: Column(column=field.name, unit=field.unit) for field in fields}
    return DatasetSpec(
        name=f"{stem or 'rows'}-{told[:8]}",
        version=1,
        description=f"The rows of {PurePosixPath(uri).name}, for which events are generated",
        citation="",
        licence="",
        shard_events=SHARD_ROWS,
        source=ImportConfig(
            files=(InputFiles(path=uri),), columns=columns, format=FORMAT, seed=0, shuffled=False
        ),
        splits=Splits(train=0, validation=0, test=1),
        fields=tuple(fields),
        groups={field.group: Group() for field in fields if field.group},
    )
