"""What a cluster may be asked for: what it has, and what it says that it may start."""

import os
import signal

import pytest
import ray

from mleg_ray.cluster.board import Board
from mleg_ray.cluster.session import (
    AUTOSCALED,
    _print_news,
    possible_cpus,
    possible_gpus,
    ray_session,
    require_cpus,
    require_node,
)
from mleg_ray.errors import ConfigError, ResourceError

GROUPS = '[{"count": 32, "cpus": 32}, {"count": 8, "cpus": 8, "gpus": 1}]'


@pytest.fixture(autouse=True)
def session(ray_cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AUTOSCALED, raising=False)


def test_a_fixed_cluster_has_what_it_has() -> None:
    assert (possible_cpus(), possible_gpus()) == (4, 0)
    with pytest.raises(ResourceError, match="5 CPUs .* asked for, Ray has 4"):
        require_cpus(5)
    with pytest.raises(ResourceError, match=r"1 CPUs and 0\.5 GPUs.*lower --gpus"):
        require_node(1, 0.5, by="a worker", lower="--gpus")


def test_ray_is_heard_but_for_what_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    started = "WARNING: 10 PYTHON worker processes have been started on node: 1 with address: 2"
    died = "A worker died or was killed. Lease ID: 0200000001 Worker ID: 6a7e67 Worker PID: 7"
    for lines in ([started], [started, "a node was lost"], [died]):
        _print_news({"lines": lines, "pid": "raylet", "is_err": False}, ignore_prefix=False)
    told = capsys.readouterr().out
    assert "a node was lost" in told
    assert "processes" not in told
    assert "A worker died or was killed." in told
    assert "6a7e67" not in told


def test_a_process_that_cannot_be_replaced_is_one_line() -> None:
    @ray.remote(max_retries=0)
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @ray.remote
    class Lost:
        def killed(self) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    for call in (killed.remote, Lost.remote().killed.remote):
        with (
            pytest.raises(ResourceError, match="lost a process.*same command again"),
            ray_session(),
        ):
            ray.get(call())


def test_progress_survives_the_process_that_holds_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = Board()
    with board.shown("training", 4):
        board.post(1, "first")
        ray.kill(board._actor, no_restart=False)
        board._refresh(Unheard())
        board.post(3, "after it")
    assert "training: 75%" in capsys.readouterr().err


class Unheard:
    def update(self, completed: float, note: str = "") -> None:
        pass


def test_an_autoscaled_one_has_what_it_may_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTOSCALED, GROUPS)
    assert (possible_cpus(), possible_gpus()) == (32 * 32 + 8 * 8, 8)
    require_node(8, 1, by="a worker", lower="--gpus")
    with pytest.raises(ResourceError, match="32 CPUs and 0 GPUs"):
        require_node(32, 1, by="a worker", lower="--gpus")


@pytest.mark.parametrize(
    "text", ["many", "{}", "[3]", '[{"cpus": 3}]', '[{"count": 0, "cpus": 3}]', '[{"cpu": 3}]']
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(AUTOSCALED, text)
    with pytest.raises(ConfigError, match=AUTOSCALED):
        possible_cpus()


def test_a_cluster_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise RuntimeError("Failed to connect to GCS\nAuthentication token is missing")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    told = r"^RAY_ADDRESS=10\.0\.0\.7:6379: Authentication token is missing; .*unset RAY_ADDRESS"
    with pytest.raises(ResourceError, match=told), ray_session(1):
        pass
