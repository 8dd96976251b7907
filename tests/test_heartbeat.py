"""One driver at a time works on a folder, whoever was killed there before."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mleg_ray import heartbeat
from mleg_ray.errors import ResourceError
from mleg_ray.heartbeat import HEARTBEAT, Heartbeat


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(heartbeat, "WATCH_SECONDS", 1.5)


def told(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / HEARTBEAT).read_text())
    return found


def leave(folder: Path, **changes: object) -> None:
    """Leave the file of a driver that is gone."""
    with Heartbeat(str(folder)):
        there = told(folder)
    (folder / HEARTBEAT).write_text(json.dumps(there | {"claim": "another"} | changes))


def test_tells_where_the_work_stands_and_is_gone_at_its_end(tmp_path: Path) -> None:
    with Heartbeat(str(tmp_path)) as mine:
        mine.beat(events=500, of=1000, workers=2)
        mine.beat(workers=3)
        expected = {"events": 500, "of": 1000, "workers": 3, "process": os.getpid()}
        assert told(tmp_path).items() >= expected.items()
    assert not list(tmp_path.iterdir())


def test_second_driver_is_refused(tmp_path: Path) -> None:
    with Heartbeat(str(tmp_path)) as first:
        done = threading.Event()

        def work() -> None:
            while not done.wait(0.2):
                first.beat(events=5)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            with pytest.raises(ResourceError, match=f"process {os.getpid()} on .* is at work here"):
                Heartbeat(str(tmp_path)).__enter__()
        finally:
            done.set()
            worker.join()
        assert told(tmp_path)["events"] == 5


def test_driver_that_lost_its_claim_stops_and_leaves_the_other_be(tmp_path: Path) -> None:
    with Heartbeat(str(tmp_path)) as first, Heartbeat(str(tmp_path)):
        with pytest.raises(ResourceError, match="is at work here"):
            first.beat(events=5)
        first.__exit__(None, None, None)
        assert (tmp_path / HEARTBEAT).exists()


@pytest.mark.parametrize("host", ["elsewhere", None])
def test_driver_that_was_killed_is_followed(
    tmp_path: Path, host: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    leave(tmp_path, process=gone.pid, **({"host": host} if host else {}))
    with Heartbeat(str(tmp_path)) as mine:
        mine.require_mine()
    # Whether a process of another machine lives cannot be seen.
    assert ("Watching" in capsys.readouterr().err) == bool(host)


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_damaged_file_is_no_driver(tmp_path: Path, text: str) -> None:
    (tmp_path / HEARTBEAT).write_text(text)
    with Heartbeat(str(tmp_path)) as mine:
        mine.require_mine()
