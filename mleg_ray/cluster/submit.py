"""Hand an `mleg` command to a running cluster through Ray's job server."""

import asyncio
import os
import shlex
from collections.abc import Sequence

from ray.job_submission import JobStatus, JobSubmissionClient

from mleg_ray.errors import ResourceError


def submit(arguments: Sequence[str], address: str) -> int:
    """Submit `mleg ARGUMENTS...` with the working directory, follow its log, return its status.

    The job takes `MLEG_STORAGE` from this shell if it is set.

    Raises:
        ResourceError: no job server answers at the address.
    """
    try:
        client = JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise ResourceError(
            f"{address}: no Ray job server answers ({error}); start one with `ray start --head` "
            "or name the cluster's dashboard with --address"
        ) from error
    environment = {key: os.environ[key] for key in ("MLEG_STORAGE",) if key in os.environ}
    job = client.submit_job(
        entrypoint=shlex.join(["python", "-m", "mleg_ray", *arguments]),
        runtime_env={"working_dir": ".", "env_vars": environment},
    )

    async def follow() -> None:
        async for lines in client.tail_job_logs(job):
            print(lines, end="")  # noqa: T201 - the job's own output

    asyncio.run(follow())
    return 0 if client.get_job_status(job) == JobStatus.SUCCEEDED else 1
