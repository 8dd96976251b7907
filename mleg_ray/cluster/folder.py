"""Fill a folder on Ray: what is whole stays, what is missing is made, a task a file."""

from collections.abc import Callable, Mapping

from mleg_ray.cluster.session import in_parallel
from mleg_ray.folder import AnyPlan, AnyRecord, SealedFolder


def fill(
    folder: SealedFolder[AnyPlan],
    files: Mapping[int, str],
    kind: type[AnyRecord],
    title: str,
    make: Callable[[int], AnyRecord],
) -> dict[int, AnyRecord]:
    """Return the records of all files of a folder, by their numbers; Ray starts if one is missing.

    Raises:
        UserError: that of `make`; see `SealedFolder.work` and `in_parallel`.
    """
    records = folder.whole(files, kind)
    missing = [index for index in files if index not in records]
    if missing:
        with folder.work() as heartbeat:
            for record in in_parallel(title, make, missing):
                records[record.index] = record
                heartbeat.beat(files=len(records), of=len(files))
    return records
