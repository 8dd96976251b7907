"""The running processes of a test's own, known by a variable of their environment."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def running(variable: str, title: str = "") -> Iterator[int]:
    """Yield the numbers of the processes with `variable` (NAME=VALUE) and this in their title."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
            if variable.encode() in environment and title.encode() in command:
                yield int(process.name)
