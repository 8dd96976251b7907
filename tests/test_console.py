"""Progress where nothing can be redrawn: a line now and then, and one at the end."""

import pytest

from mleg_ray import console


def test_a_log_gets_a_line_now_and_then(monkeypatch, capsys) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with console.progress_bar("Training", 200) as bar:
        for step in range(0, 201, 50):
            now = 100.0 + step
            bar.update(step, f"loss {step / 100}")
        assert len(capsys.readouterr().err.splitlines()) == 4
        now = 310.0
        bar.update(200, "loss 0.1")
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "Training: 100% after 210 s loss 0.1\n"


def test_a_failure_claims_no_end(capsys) -> None:
    with pytest.raises(RuntimeError), console.progress_bar("Training", 10):
        raise RuntimeError
    assert capsys.readouterr().err == ""
