"""A file in a folder that tells who works on it, and that the work goes on."""

import contextlib
import datetime
import os
import secrets
import socket
import threading
import time
from typing import Any, Self

from mleg_ray.console import say
from mleg_ray.errors import DataError, ResourceError, UserError
from mleg_ray.storage import join, read_json, remove, write_json

HEARTBEAT = "heartbeat.json"
BEAT_SECONDS = 10.0
WATCH_SECONDS = 1.5 * BEAT_SECONDS
SETTLE_SECONDS = 0.3  # after a claim: of two at the same moment, the later one holds


class Heartbeat:
    """Claims a folder for one driver at a time; whatever watches over a job may read it too.

    What counts is whether the file changes, never what a clock says: those of two machines differ,
    and jump. A driver that was killed leaves its file behind; on the same machine it is seen to be
    gone, else the next one watches the file for `WATCH_SECONDS`.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._place = join(folder, HEARTBEAT)
        self._owner = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "claim": secrets.token_hex(8),
        }
        self._progress: dict[str, float] = {}
        self._last = 0.0
        self._turn = threading.Lock()  # `keep` is another thread's

    def __enter__(self) -> Self:
        """Claim the folder; `ResourceError` if another driver works on it."""
        there = self._read()
        if there and not _is_gone(there):
            say(f"{self._place}: is it still at work? Watching for {WATCH_SECONDS:g} s")
            end = time.monotonic() + WATCH_SECONDS
            while time.monotonic() < end:
                time.sleep(0.5)
                if self._read() not in (None, there):
                    raise self._refusal(there)
        self._write()
        time.sleep(SETTLE_SECONDS)
        self.require_mine()
        return self

    def __exit__(self, *_: object) -> None:
        if (self._read() or {}).get("claim") == self._owner["claim"]:
            remove(self._place)

    def beat(self, **progress: float) -> None:
        """Write where the work stands, unless that was written a moment ago.

        Raises as `require_mine` does.
        """
        with self._turn:
            self._progress |= progress
            if time.monotonic() - self._last < BEAT_SECONDS:
                return
            self.require_mine()
            self._write()

    def keep(self) -> None:
        """Beat for a driver that is busy; one that lost its claim hears so when it asks itself."""
        with contextlib.suppress(UserError):
            self.beat()

    def require_mine(self) -> None:
        """Raise `ResourceError` if another driver has claimed the folder meanwhile."""
        there = self._read()
        if there and there.get("claim") != self._owner["claim"]:
            raise self._refusal(there)

    def _refusal(self, there: dict[str, Any]) -> ResourceError:
        return ResourceError(
            f"{self._folder}: process {there.get('process')} on {there.get('host')} is at work "
            "here; let it end or stop it, then run this again, or choose another place"
        )

    def _read(self) -> dict[str, Any] | None:
        try:
            told = read_json(self._place)
        except (DataError, ResourceError):  # damaged or absent
            return None
        return told if isinstance(told, dict) else None

    def _write(self) -> None:
        self._last = time.monotonic()
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(self._place, {**self._owner, "time": now, **self._progress})


def _is_gone(there: dict[str, Any]) -> bool:
    """Tell whether the driver is known to have ended: it ran on this machine, and is not here."""
    process = there.get("process")
    if there.get("host") != socket.gethostname() or not isinstance(process, int) or process < 1:
        return False
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
