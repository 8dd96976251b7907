"""Progress where nothing can be redrawn: a line now and then, and one at the end."""

import re
import time

import pytest

from mleg_ray import console


def test_a_log_gets_a_line_now_and_then_also_while_nothing_is_done(monkeypatch, capsys) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0.05)
    with console.progress_bar("Training", 200) as bar:
        bar.update(50, "loss 2")
        lines = []
        while len(lines) < 2:
            time.sleep(0.01)
            lines += capsys.readouterr().err.splitlines()
    assert all(re.fullmatch(r"Training: 25% after \d+ s loss 2", line) for line in lines)


def test_a_log_gets_a_line_at_the_end(monkeypatch, capsys) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with console.progress_bar("Training", 200) as bar:
        now = 310.0
        bar.update(200, "loss 0.1")
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "Training: 100% after 210 s loss 0.1\n"


def test_a_failure_claims_no_end(capsys) -> None:
    with pytest.raises(RuntimeError), console.progress_bar("Training", 10):
        raise RuntimeError
    assert capsys.readouterr().err == ""
