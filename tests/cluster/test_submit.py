"""What is said of jobs that a cluster does not take, without a cluster."""

from pathlib import Path
from typing import Any

import pytest

import mleg_ray.cluster.submit as module
from mleg_ray.errors import ResourceError

ADDRESS = "http://127.0.0.1:1"
ANSWER = "Request failed with status code 500: No available agent to submit job, please try again."


class Server:
    """A job server that answers so many times that it has no agent."""

    refusals = 0
    answer = ANSWER
    seen: list[dict[str, Any]] = []

    def __init__(self, address: str) -> None:
        assert address == ADDRESS

    def submit_job(self, **job: Any) -> str:
        self.seen.append(job)
        if len(self.seen) <= self.refusals:
            raise RuntimeError(self.answer)
        return "job"

    async def tail_job_logs(self, job: str):
        yield f"log of {job}\n"

    def get_job_status(self, job: str) -> str:
        return module.JobStatus.SUCCEEDED


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Server]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "JobSubmissionClient", Server)
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(Server, "seen", [])
    return Server


def test_a_head_that_begins_is_waited_for(
    server: type[Server], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "refusals", 3)
    assert module.submit(["verify", "a b"], ADDRESS) == 0
    assert [job["entrypoint"] for job in server.seen] == ["python -m mleg_ray verify 'a b'"] * 4
    assert "log of job" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ANSWER, r"starts no jobs, after 0 s: .*No available agent.*dashboard_agent.log"),
        ("Traceback\nstatus code 400: bad", "did not take the job: status code 400: bad"),
    ],
)
def test_a_head_that_starts_no_jobs(
    server: type[Server], monkeypatch: pytest.MonkeyPatch, answer: str, message: str
) -> None:
    monkeypatch.setattr(server, "refusals", 10**9)
    monkeypatch.setattr(server, "answer", answer)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    with pytest.raises(ResourceError, match=f"{ADDRESS}: .*{message}"):
        module.submit(["verify", "a"], ADDRESS)


def test_a_folder_that_is_too_large_is_refused_before_it_is_packed(
    server: type[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 and 300 bytes count, 500 ignored ones do not."""
    monkeypatch.setattr(module, "DASHBOARD_CLIENT_MAX_SIZE", 600)
    for name, size in (("data/a.csv", 400), ("b.npz", 300), ("kept/c", 500)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / ".gitignore").write_text("kept/\n")
    with pytest.raises(ResourceError, match=r"the largest are data .*, b.npz .*\.rayignore"):
        module.submit(["verify", "a"], ADDRESS)
    assert not server.seen
    (tmp_path / "b.npz").unlink()
    assert module.submit(["verify", "a"], ADDRESS) == 0
