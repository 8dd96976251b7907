"""Studies, runs and samples in an object store, also one that fails, tarries or is full."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.storage import exists, matching, read_bytes, sizes, write_bytes
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset
from tests.recipes import SMALL
from tests.s3 import BUCKET, S3Server, s3_server
from tests.study.plans import QUICK, SPACE, small_plan

MLEG = Path(sys.executable).parent / "mleg"
STORAGE = f"s3://{BUCKET}/mleg"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """One for all: s3fs keeps its connections, whatever the environment says later."""
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MLEG, *words],
        env=os.environ | {"RAY_AUTH_MODE": "disabled", "MLEG_STORAGE": STORAGE},
        capture_output=True,
        text=True,
    )


def upload(folder: Path, uri: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            write_bytes(f"{uri}/{path.relative_to(folder)}", path.read_bytes())


def mleg(*words: str) -> str:
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_study_in_an_object_store(server: S3Server, tmp_path: Path) -> None:
    prepared_dataset(tmp_path / "dataset")
    upload(tmp_path / "dataset", f"{STORAGE}/datasets/dis-ep-50")
    small_plan(tmp_path, space=SPACE, trials=2)
    recipe = str(tmp_path / "small.toml")
    settings = [word for value in QUICK for word in ("--set", value)]
    mleg("tune", recipe, "--name", "far", *settings)
    study = f"{STORAGE}/studies/far"
    for name in ("plan.json", "journal", "report/study.html", "runs/0001/checkpoint/card.json"):
        assert exists(f"{study}/{name}"), name
    before = read_bytes(f"{study}/runs/0000/checkpoint/card.json")

    mleg("tune", recipe, "--name", "far", "--resume", *settings, "--set", "study.trials=3")
    assert exists(f"{study}/runs/0002/checkpoint/card.json")
    assert read_bytes(f"{study}/runs/0000/checkpoint/card.json") == before

    assert mleg("report", study).strip() == f"{study}/report/study.html"
    page = read_bytes(f"{STORAGE}/index.html").decode()
    assert 'href="studies/far/report/study.html"' in page
    assert ">dis-ep-50<" in page
    mleg("sample", study, "--events", "2000", "--out", f"{STORAGE}/sample")
    assert Dataset.open(f"{STORAGE}/sample").rows() == 2000
    everything = read_bytes(f"{study}/study.json") if exists(f"{study}/study.json") else b""
    for uri in (f"{study}/plan.json", f"{STORAGE}/sample/manifest.json"):
        everything += read_bytes(uri)
    assert b"secret-of-the-test" not in everything


def test_training_reads_events_and_writes_checkpoints_there(
    server: S3Server, tmp_path: Path
) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    upload(tmp_path / "dataset", f"{STORAGE}/datasets/dis-ep-50")
    settings = (*SMALL["fatgan-quick"], "training.steps=40", "selection.every=20")
    words = [word for value in settings for word in ("--set", value)]
    told = mleg("train", "fatgan-quick", "--name", "away", *words)
    assert told.split()[-1] == f"{STORAGE}/runs/away/checkpoint"
    far = Checkpoint.load(f"{STORAGE}/runs/away/checkpoint")
    assert far.card.dataset.dataset_digest == dataset.digest
    assert [entry["step"] for entry in far.card.history] == [20, 40]
    mleg("train", "fatgan-quick", "--name", "away", *words)  # complete: nothing is trained again
    assert Checkpoint.load(f"{STORAGE}/runs/away/checkpoint").digest == far.digest


SIZES = ("--events", "40000", "--shard-events", "2000", "--workers", "2")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def undisturbed(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = str(tmp_path_factory.mktemp("sample") / "out")
    mleg("sample", checkpoint.uri, *SIZES, "--out", out)
    return Dataset.open(out)


def test_a_store_that_fails_and_tarries(
    server: S3Server, checkpoint: Checkpoint, undisturbed: Dataset
) -> None:
    count = itertools.count()

    def fault(method: str, path: str) -> tuple[str, str] | None:
        time.sleep(0.1)
        return ("500 Internal Server Error", "InternalError") if next(count) % 4 == 0 else None

    server.fault = fault
    mleg("sample", checkpoint.uri, *SIZES, "--out", f"{STORAGE}/shaky")
    server.fault = lambda method, path: None
    made = Dataset.open(f"{STORAGE}/shaky")
    assert made.manifest.shards == undisturbed.manifest.shards
    mleg("verify", made.uri)


def test_a_bucket_that_is_full_for_a_while(
    server: S3Server, checkpoint: Checkpoint, undisturbed: Dataset
) -> None:
    out = f"{STORAGE}/full"
    room = itertools.count()

    def full(method: str, path: str) -> tuple[str, str] | None:
        wants_more = method == "PUT" and path.endswith(".parquet")
        return ("403 Forbidden", "QuotaExceeded") if wants_more and next(room) > 5 else None

    server.fault = full
    done = run("sample", checkpoint.uri, *SIZES, "--out", out)
    told = " ".join(done.stderr.split())
    assert done.returncode == 2, told
    assert "QuotaExceeded" in told
    assert ".parquet" in told
    assert "Traceback" not in told
    whole = {place.rsplit("/", 1)[-1] for place in matching(f"{out}/records/*")}
    assert 0 < len(whole) < 20
    assert not exists(f"{out}/manifest.json")

    server.fault = lambda method, path: None
    before = len(server.requests)
    mleg("sample", checkpoint.uri, *SIZES, "--out", out)
    written = {p for m, p in server.requests[before:] if m == "PUT" and p.endswith(".parquet")}
    assert len(written) == 20 - len(whole)
    assert Dataset.open(out).manifest.shards == undisturbed.manifest.shards
    known = {entry.file for entry in undisturbed.manifest.shards}
    assert known == {file for file in sizes(out) if file.startswith("shards/")}


def test_a_store_that_is_not_there(
    server: S3Server, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = run("sample", checkpoint.uri, *SIZES, "--out", f"{STORAGE}/full")
    assert done.returncode == 2, done.stderr
    assert "AWS_ENDPOINT_URL" in done.stderr
    assert "secret-of-the-test" not in done.stderr
