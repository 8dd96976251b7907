"""A dataset's shards in other formats, one file a shard."""

import gzip
import tempfile
from pathlib import Path
from typing import Literal

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.formats.base import Format
from mleg_ray.catalog.formats.calochallenge import CaloChallenge
from mleg_ray.catalog.formats.dark_machines import DarkMachines
from mleg_ray.catalog.formats.hepmc import HepMC
from mleg_ray.catalog.formats.les_houches import LesHouches
from mleg_ray.catalog.formats.tables import Csv, Hdf5, Parquet, Root
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.folder import FileEntry, FolderPlan, Record, SealedFolder, write_record
from mleg_ray.storage import join, storage_errors, write_bytes

CONVERTED = "conversion.json"
GZIP = ".gz"  # behind a format's name: its files are packed
FORMATS: dict[str, Format] = {
    "parquet": Parquet(),
    "root": Root(),
    "hdf5": Hdf5(),
    "csv": Csv(),
    "dark-machines": DarkMachines(),
    "lhe": LesHouches(),
    "hepmc": HepMC(),
    "calochallenge": CaloChallenge(),
}


class Conversion(FolderPlan):
    """What a folder of converted shards is for; `dataset` is the digest of the one at `source`."""

    kind: Literal["conversion"] = "conversion"
    format_version: Literal[1] = 1
    source: str
    dataset: str
    to: str

    @property
    def identity(self) -> Config:
        """The same dataset may lie elsewhere by now."""
        return self.model_copy(update={"source": ""})

    @property
    def format(self) -> Format:
        """What writes the files."""
        return FORMATS[self.to.removesuffix(GZIP)]

    def file(self, shard: ShardEntry) -> str:
        """Return the name of the file that a shard becomes."""
        name = f"{Path(shard.file).stem}{self.format.suffix}"
        return f"{name}{GZIP}" if self.to.endswith(GZIP) else name


class Converted(Config):
    """The content of conversion.json, the last file: the others."""

    format_version: Literal[2] = 2
    files: tuple[FileEntry, ...]


def convert_shard(folder: SealedFolder[Conversion], dataset: Dataset, index: int) -> Record:
    """Write a shard of a dataset in another format, and its record.

    Raises:
        DataError: the shard is gone, truncated or altered.
        UserError: a library is missing, or the target cannot be written.
    """
    plan, manifest = folder.plan, dataset.manifest
    shard = manifest.shards[index]
    first = sum(before.rows for before in manifest.shards[:index])
    name = plan.file(shard)
    columns = dataset.columns(shard)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / name.removesuffix(GZIP)
        with storage_errors(str(place)):
            plan.format.write(place, columns, manifest, first)
            content = place.read_bytes()
    if plan.to.endswith(GZIP):
        content = gzip.compress(content, mtime=0)  # the same bytes at any time
    write_bytes(join(folder.uri, name), content)
    record = Record(plan=folder.digest, index=index, entry=FileEntry.of(name, content))
    write_record(folder.uri, record)
    return record


def require_convertible(dataset: Dataset, to: str) -> None:
    """Fail now where the work would fail later.

    Raises:
        ConfigError: no such format, or the dataset lacks what the format needs.
        UserError: a library is missing.
    """
    kind = to.removesuffix(GZIP)
    if kind not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigError(f"--to {to}: there are {known}, and {GZIP} behind it packs the files")
    FORMATS[kind].require(dataset.manifest)
    one = of_events(dataset.schema.example(), dataset.schema)
    with tempfile.TemporaryDirectory() as folder:
        FORMATS[kind].write(Path(folder) / "one", one, dataset.manifest)
