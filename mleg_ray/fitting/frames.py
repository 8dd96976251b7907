"""Tables in memory, of whatever library, as Parquet files."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mleg_ray.errors import DataError, library
from mleg_ray.storage import exists, join, write_bytes


def write_frame(frame: object, storage: str, name: str) -> str:
    """Write a table below a storage root, named after its content; return the file's URI.

    It is a frame of pandas or polars, an awkward array of records, a table of Arrow, a structured
    array of NumPy, or a dictionary of arrays.

    Raises:
        DataError: it is something else, or its columns differ in length.
        ResourceError: it cannot be written.
    """
    content = io.BytesIO()
    pq.write_table(_arrow(frame), content)
    told = hashlib.sha256(content.getvalue()).hexdigest()[:8]
    place = join(storage, "tables", f"{name}-{told}.parquet")
    if not exists(place):
        write_bytes(place, content.getvalue())
    return place


def _arrow(frame: Any) -> pa.Table:  # noqa: ANN401 - of libraries that need not be installed
    library_of = type(frame).__module__.partition(".")[0]
    try:
        if isinstance(frame, pa.Table):
            return frame
        if library_of == "pandas":
            return pa.Table.from_pandas(frame, preserve_index=False)
        if library_of == "polars":
            return frame.to_arrow()
        if library_of == "awkward":
            return library("awkward", "frames").to_arrow_table(frame, extensionarray=False)
        if isinstance(frame, np.ndarray) and frame.dtype.names:
            return pa.table({name: frame[name] for name in frame.dtype.names})
        if isinstance(frame, Mapping):
            return pa.table({str(name): np.asarray(column) for name, column in frame.items()})
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"frame: {error}") from None
    raise DataError(
        f"frame: a {type(frame).__name__} is no table; give a frame of pandas or polars, an "
        "awkward array of records, a structured array, or a dictionary of arrays"
    )
