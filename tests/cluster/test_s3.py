"""Everything of a study in an object store: events, trials, journal, report, and samples."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mleg_ray.storage import exists, read_bytes, upload
from tests.prepared import prepared_dataset
from tests.s3 import BUCKET, s3_server
from tests.study.plans import QUICK, SPACE, small_plan

MLEG = Path(sys.executable).parent / "mleg"
STORAGE = f"s3://{BUCKET}/mleg"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


def mleg(*words: str) -> str:
    done = subprocess.run(
        [MLEG, *words, *(["--storage", STORAGE] if words[0] != "report" else [])],
        env=os.environ | {"RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_study_in_an_object_store(server: None, tmp_path: Path) -> None:
    prepared_dataset(tmp_path / "dataset")
    upload(tmp_path / "dataset", f"{STORAGE}/datasets/dis-ep-50")
    small_plan(tmp_path, space=SPACE, trials=2)
    recipe = str(tmp_path / "small.toml")
    settings = [word for value in QUICK for word in ("--set", value)]
    mleg("tune", recipe, "--name", "far", *settings)
    study = f"{STORAGE}/studies/far"
    for name in ("plan.toml", "journal.log", "report/study.html", "runs/0001/checkpoint/card.json"):
        assert exists(f"{study}/{name}"), name
    before = read_bytes(f"{study}/runs/0000/checkpoint/card.json")

    mleg("tune", recipe, "--name", "far", "--resume", *settings, "--set", "study.trials=3")
    assert exists(f"{study}/runs/0002/checkpoint/card.json")
    assert read_bytes(f"{study}/runs/0000/checkpoint/card.json") == before

    assert mleg("report", study).strip() == f"{study}/report/study.html"
    told = mleg("sample", study, "--events", "2000", "--out", f"{STORAGE}/sample")
    assert "2,000 events" in told
    everything = read_bytes(f"{study}/study.json") if exists(f"{study}/study.json") else b""
    for uri in (f"{study}/plan.toml", f"{STORAGE}/sample/manifest.json"):
        everything += read_bytes(uri)
    assert b"secret-of-the-test" not in everything
