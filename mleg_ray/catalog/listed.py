"""The user's own list of particles, as a dataset: what a generator is given, row by row."""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

import numpy as np

from mleg_ray.catalog.sources.files import InputFiles
from mleg_ray.catalog.sources.readers import Content, FileFormat, Lists, read_table
from mleg_ray.catalog.sources.tables import Column, ImportConfig
from mleg_ray.catalog.spec import DatasetSpec, Splits
from mleg_ray.config import parse
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Field, Group
from mleg_ray.storage import sha256, sha256_of

LARGEST = np.iinfo(np.int32).max
EXACT = 2**53  # up to there double precision has all whole numbers
SUFFIXES = (".parquet", ".csv", ".txt", ".npy", ".npz", ".h5", ".hdf5", ".root")
FORMAT = FileFormat(header=True)


def is_file(text: str) -> bool:
    """Tell whether a text names a file of rows, rather than a dataset."""
    return PurePosixPath(text).suffix.lower() in SUFFIXES


def listed(
    uri: str, given: Sequence[Field], shard_events: int, keep: Collection[str] = ()
) -> DatasetSpec:
    """Return the dataset of a file's rows, in their order and in shards of `shard_events`.

    The columns have the names of the conditions `given` and are in their units; the columns `keep`,
    a particle's number say, become labels: whole numbers if all are, double precision else. The
    name tells the content: of another file, or of other conditions, it is another dataset.

    Raises:
        ConfigError: a column is to be kept that has the name of a condition, or of its group.
        DataError: a column is absent, or a number of it is not finite, or too large to be kept as
            it is.
    """
    conditions = [field.name for field in given]
    keep = dict.fromkeys(keep)
    for name in keep:
        if name in conditions:
            raise ConfigError(f"--keep {name}: a condition of the checkpoint is kept anyway")
        if not name.isidentifier():
            raise ConfigError(f"--keep {name}: name the column with letters, digits and '_' alone")
    rows = read_table(uri, [*conditions, *keep], FORMAT)
    fields = [field.model_copy(update={"role": "event"}) for field in given]
    fields += [_label(uri, name, rows[name]) for name in keep]
    columns = {field.name: Column(column=field.name, unit=field.unit) for field in fields}
    folder, _, file = uri.rpartition("/")
    stem = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(uri).stem.lower()).strip("-") or "rows"
    values = {
        "name": stem,
        "version": 1,
        "description": f"The rows of {file}, for which events are generated",
        "citation": "",
        "licence": "",
        "shard_events": shard_events,
        "source": ImportConfig(
            files=(InputFiles(path=file),),
            root=folder or "/",
            columns=columns,
            format=FORMAT,
            seed=0,
            shuffled=False,
        ),
        "splits": Splits(train=0, validation=0, test=1),
        "fields": tuple(fields),
        "groups": {field.group: Group() for field in fields if field.group},
    }
    spec = parse(DatasetSpec, values, uri)
    told = sha256(f"{spec.digest()} {sha256_of(uri)}".encode())
    return spec.model_copy(update={"name": f"{stem}-{told[:8]}"})


def _label(uri: str, name: str, content: Content) -> Field:
    """Return the label that a column becomes."""
    if isinstance(content, Lists) or content.ndim > 1:
        raise DataError(f"{uri}: column '{name}' holds several numbers a row; keep one of them")
    largest = np.abs(content).max(initial=0)
    if (content != np.rint(content)).any():
        return Field(name=name, role="label", dtype="float64")
    if largest >= EXACT:
        raise DataError(
            f"{uri}: column '{name}' has whole numbers up to {largest:.3g}, and from 2⁵³ on not "
            "each is kept as it is; number the rows with smaller ones"
        )
    return Field(name=name, role="label", dtype="int32" if largest <= LARGEST else "float64")
