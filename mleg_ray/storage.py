"""Files by URI: a local path, `s3://...` or anything else that fsspec knows.

A file appears under its final name only when it is whole: locally through a temporary name and
`os.replace`; an object store makes an object visible only when its upload has ended.
"""

import contextlib
import hashlib
import json
import os
import posixpath
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import fsspec
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.implementations.local import LocalFileSystem

from mleg_ray.errors import ConfigError, DataError, ResourceError

MOST_JSON = 1_000_000_000  # bytes: a manifest of a million shards has fewer
HASHED_AT_ONCE = 1 << 23
PARTIAL = re.compile(r"\.\d+\.partial$")  # with its writer's process number


def storage_root(option: str | None = None) -> str:
    """Return the storage root: the option, else `MLEG_STORAGE`, else `./mleg-storage`.

    Inside a Ray job the working directory vanishes with the job, so `~/mleg-storage` is the last
    choice there.

    Raises:
        ConfigError: the option is an empty text.
    """
    here = "~/mleg-storage" if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else "mleg-storage"
    if option is not None and not option.strip():
        raise ConfigError("--storage: names no folder; give a path or URI, or leave it out")
    return absolute(option or os.environ.get("MLEG_STORAGE") or here)


def is_remote(uri: str) -> bool:
    """Tell whether the URI names a file system other than this machine's own."""
    return "://" in uri and not uri.startswith("file://")


def absolute(uri: str) -> str:
    """Return a URI that means the same in every process, whatever its working directory."""
    if is_remote(uri):
        return uri.rstrip("/")
    return str(Path(uri.removeprefix("file://")).expanduser().resolve())


def join(uri: str, *parts: str) -> str:
    """Append path components to a URI."""
    return posixpath.join(uri, *parts)


def exists(uri: str) -> bool:
    """Tell whether a file or folder is there."""
    with _opened(uri) as (fs, path):
        return bool(fs.exists(path))


def is_folder(uri: str) -> bool:
    """Tell whether there is a folder, and no file, of that name."""
    with _opened(uri) as (fs, path):
        return bool(fs.isdir(path))


def listed(folder: str) -> dict[str, datetime | None]:
    """Return when each file that lies directly in a folder was written, and None of each folder.

    Nothing lies in an absent folder, and what is removed meanwhile is left out.
    """
    with _opened(folder) as (fs, path):
        fs.invalidate_cache(path)
        found: dict[str, datetime | None] = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for place in fs.ls(path, detail=False):
                with contextlib.suppress(FileNotFoundError):
                    is_file = fs.info(place)["type"] != "directory"
                    found[posixpath.basename(place)] = fs.modified(place) if is_file else None
        return found


def sizes(folder: str) -> dict[str, int]:
    """Return the bytes of all files below a folder, also nested ones, by their path inside it."""
    with _opened(folder) as (fs, root):
        fs.invalidate_cache()
        files = fs.find(root, detail=True).items()
        return {path.removeprefix(f"{root}/"): info["size"] for path, info in files}


def size(uri: str) -> int:
    """Return the bytes of a file."""
    with _opened(uri) as (fs, path):
        return int(fs.size(path))


def matching(pattern: str) -> list[str]:
    """Return the URIs that match a pattern with `*`, sorted."""
    with _opened(pattern) as (fs, path):
        found = sorted(fs.glob(path))
        return [fs.unstrip_protocol(match) if is_remote(pattern) else match for match in found]


def version(uri: str) -> str:
    """Return what changes whenever the file does."""
    with _opened(uri) as (fs, path):
        return str(fs.ukey(path))


def read_bytes(uri: str, most: int | None = None, start: int | None = None) -> bytes:
    """Read a whole file, or its first `most` bytes: whoever made it may not be trusted.

    A negative `start` counts from the end; what lies before a smaller file is left out.
    """
    with _opened(uri) as (fs, path):
        content: bytes = fs.cat_file(path, start=start, end=most)
        return content


def read_folder(folder: str) -> dict[str, bytes]:
    """Read all files below a folder, also nested ones, by their path inside it; none if absent."""
    with _opened(folder) as (fs, root):
        fs.invalidate_cache()
        found = fs.find(root)
        contents = fs.cat(found) if found else {}
        return {path.removeprefix(f"{root}/"): content for path, content in contents.items()}


def write_bytes(uri: str, content: bytes) -> None:
    """Write a whole file; a reader sees the old content or the new, never a part.

    Raises:
        ResourceError: no permission, no space; nothing is left under the final name.
    """
    with _opened(uri) as (fs, path):
        if not isinstance(fs, LocalFileSystem):
            fs.pipe_file(path, content)
            return
        partial = Path(_partial(path))
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(partial, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def read_json(
    place: str, mend: str = "the command that made it writes it again once it is deleted"
) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a JSON file; `DataError` names the file if it is damaged, and the mend."""
    content = read_bytes(place, MOST_JSON + 1)
    if len(content) > MOST_JSON:
        raise DataError(f"{place}: larger than the {MOST_JSON / 1e9:g} GB of any such file; {mend}")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: damaged, not valid JSON ({error}); {mend}") from None


def write_json(place: str, content: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write a JSON file, whole or not at all."""
    write_bytes(place, (json.dumps(content, indent=2) + "\n").encode())


def _partial(path: str) -> str:
    return f"{path}.{os.getpid()}.partial"


def is_vacant(folder: str, left: str = "") -> bool:
    """Tell whether a folder holds nothing but what killed writers left, and the file `left`."""
    with _opened(folder) as (fs, path):
        files = fs.ls(path, detail=False) if fs.exists(path) else []
    names = (posixpath.basename(file) for file in files)
    return all(PARTIAL.search(name) or name == left for name in names)


def remove_partials(folder: str) -> None:
    """Remove what killed writers left in a local folder (object stores leave nothing visible)."""
    if not is_remote(folder):
        for leftover in Path(folder).rglob("*.partial"):
            if PARTIAL.search(leftover.name) and not leftover.is_dir():
                leftover.unlink(missing_ok=True)


def remove(uri: str) -> None:
    """Remove a file; an absent one is fine."""
    with _opened(uri) as (fs, path):
        if fs.exists(path):
            fs.rm_file(path)


def remove_folder(uri: str) -> None:
    """Remove a folder and all it holds; an absent one is fine."""
    with _opened(uri) as (fs, path):
        if fs.exists(path):
            fs.rm(path, recursive=True)


def require_writable(uri: str) -> None:
    """Fail early, with the mend, when nothing can be written below `uri`."""
    probe = join(uri, _partial("probe"))
    write_bytes(probe, b"")
    remove(probe)


def require_space(uri: str, needed: int) -> None:
    """Fail early when a local disk has less than `needed` bytes free; remote stores do not tell."""
    if is_remote(uri):
        return
    free = shutil.disk_usage(uri).free
    if needed > free:
        raise ResourceError(
            f"{uri}: {needed / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB are free; "
            "choose another --storage or --out, or fewer events"
        )


@contextlib.contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turn refusals of the system or the object store into one clear error that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise ResourceError(f"{uri}: no such file or folder") from error
    except PermissionError as error:
        raise ResourceError(
            f"{uri}: no permission ({error.strerror or error}); choose another place with "
            "--storage or --out"
        ) from error
    except OSError as error:
        raise ResourceError(
            f"{uri}: {error.strerror or error}; nothing was left half-written"
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise ResourceError(
            f"{uri}: {error}; AWS_ENDPOINT_URL and the usual AWS variables or files say which "
            "object store is meant, and who asks"
        ) from error


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of(uri: str) -> str:
    """Return the SHA-256 of a file in hexadecimal; little of it is in memory at once."""
    digest = hashlib.sha256()
    with opened(uri) as stream:
        while content := stream.read(HASHED_AT_ONCE):
            digest.update(content)
    return digest.hexdigest()


@contextlib.contextmanager
def opened(uri: str) -> Iterator[IO[bytes]]:
    """Give the block a file to read; `ResourceError` if it is absent, or cannot be read."""
    with _opened(uri) as (fs, path), fs.open(path, "rb") as stream:
        yield stream


@contextlib.contextmanager
def _opened(uri: str) -> Iterator[tuple[fsspec.AbstractFileSystem, str]]:
    """Give the block the fsspec file system of a URI and the path inside it."""
    try:
        if is_remote(uri):
            fs, path = fsspec.core.url_to_fs(uri)
        else:  # a local name is no chain of file systems, though it may hold "::"
            fs = LocalFileSystem()
            path = fs._strip_protocol(uri)
    except (ValueError, ImportError) as error:
        raise ResourceError(f"{uri}: {error}; use a local path or s3://BUCKET/...") from None
    with storage_errors(uri):
        yield fs, path
