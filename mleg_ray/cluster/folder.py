"""Fill a folder on Ray: what is whole stays, what is missing is made, a task a file."""

from collections.abc import Mapping
from typing import Any

from mleg_ray.cluster.session import in_parallel
from mleg_ray.folder import AnyPlan, AnyRecord, SealedFolder


def fill(
    folder: SealedFolder[AnyPlan],
    files: Mapping[int, str],
    kind: type[AnyRecord],
    title: str,
    task: Any,  # noqa: ANN401 - a remote function of (work, index), whose type Ray keeps to itself
    work: object,
) -> dict[int, AnyRecord]:
    """Return the records of all files of a folder, by their numbers; Ray starts if one is missing.

    Raises:
        UserError: a task's own; see `SealedFolder.work` and `in_parallel`.
    """
    records = folder.whole(files, kind)
    missing = [index for index in files if index not in records]
    if missing:
        with folder.work() as heartbeat:
            for record in in_parallel(title, task, work, missing):
                records[record.index] = record
                heartbeat.beat(files=len(records), of=len(files))
    return records
