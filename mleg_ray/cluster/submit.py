"""Hand an `mleg` command to a running cluster through Ray's job server."""

import asyncio
import logging
import os
import shlex
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray._private.ray_constants import DASHBOARD_CLIENT_MAX_SIZE
from ray._private.runtime_env.packaging import get_excludes_from_ignore_files
from ray.job_submission import JobStatus, JobSubmissionClient

from mleg_ray.console import say
from mleg_ray.errors import ResourceError

NO_AGENT = "agent"  # in the answer of a head that has begun, but cannot start jobs yet
PATIENCE, PAUSE = 120.0, 3.0  # seconds: with a head that begins, between two attempts
TOLD = 5  # of the largest folders and files


def submit(arguments: Sequence[str], address: str) -> int:
    """Submit `mleg ARGUMENTS...` with the working directory, follow its log, return its status.

    The job takes `MLEG_STORAGE` from this shell if it is set.

    Raises:
        ResourceError: no job server answers at the address, or it starts no job; or the working
            directory is larger than what a job may take with it.
    """
    _require_small(Path.cwd())
    logging.getLogger("ray").setLevel(logging.WARNING)  # which files it leaves out is no news
    try:
        client = JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise ResourceError(
            f"{address}: no Ray job server answers ({error}); start one with `ray start --head` "
            "or name the cluster's dashboard with --address"
        ) from error
    environment = {key: os.environ[key] for key in ("MLEG_STORAGE",) if key in os.environ}
    job = _submitted(
        client,
        address,
        entrypoint=shlex.join(["python", "-m", "mleg_ray", *arguments]),
        runtime_env={"working_dir": ".", "env_vars": environment},
    )

    async def follow() -> None:
        async for lines in client.tail_job_logs(job):
            print(lines, end="")  # noqa: T201 - the job's own output

    asyncio.run(follow())
    return 0 if client.get_job_status(job) == JobStatus.SUCCEEDED else 1


def _submitted(client: JobSubmissionClient, address: str, **job: Any) -> str:  # noqa: ANN401
    """Return the name of a job that the server took; it may have to begin itself first."""
    end = time.monotonic() + PATIENCE
    waited = False
    while True:
        try:
            return str(client.submit_job(**job))
        except RuntimeError as error:
            told = str(error).strip().splitlines()[-1]
            if NO_AGENT not in str(error):
                raise ResourceError(
                    f"{address}: the cluster did not take the job: {told}"
                ) from None
            if time.monotonic() > end:
                raise ResourceError(
                    f"{address}: the cluster starts no jobs, after {PATIENCE:g} s: {told}; look "
                    "into dashboard_agent.log of its head, or start it again"
                ) from None
        if not waited:
            say(f"{address} has only begun; waiting until it starts jobs")
            waited = True
        time.sleep(PAUSE)


def _require_small(folder: Path) -> None:
    """Raise `ResourceError` if a job server would refuse the folder for its size."""
    parts = Counter[str]()
    for file, size in _packed(folder, []):
        parts[file.relative_to(folder).parts[0]] += size
    if parts.total() > DASHBOARD_CLIENT_MAX_SIZE:
        largest = ", ".join(f"{name} ({n / 1e6:,.0f} MB)" for name, n in parts.most_common(TOLD))
        raise ResourceError(
            f"{folder}: {parts.total() / 1e6:,.0f} MB would go with the job, and it takes at most "
            f"{DASHBOARD_CLIENT_MAX_SIZE / 1e6:,.0f} MB; the largest are {largest}: move them "
            "elsewhere, or name them in a file .rayignore or .gitignore here. Data that the "
            "cluster reaches belong to --storage"
        )


def _packed(folder: Path, above: Sequence[Callable[[Path], bool]]) -> list[tuple[Path, int]]:
    """Return the files that Ray sends with a job, and their bytes."""
    silent = logging.getLogger("mleg_ray.submit")
    excludes = [*above, *get_excludes_from_ignore_files(folder, True, silent)]
    files: list[tuple[Path, int]] = []
    for path in folder.iterdir():
        if any(exclude(path) for exclude in excludes):
            continue
        if path.is_dir():
            files += _packed(path, excludes)
        elif path.is_file():
            files.append((path, path.stat().st_size))
    return files
