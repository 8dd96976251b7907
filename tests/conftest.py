"""What all tests share: one private Ray for the session, and small dataset specifications."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before any test module imports Ray, which reads them once.
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.1"  # report() waits for it: 2 s by default
# Before any imports torch. Beside other work, threads that spin at each other's barriers need
# many times as long; the tests' networks gain nothing by them on an idle machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("RAY_ADDRESS", None)
os.environ.pop("MLEG_IMPORT_ROOT", None)
os.environ.pop("MLEG_STORAGE", None)


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of processes that share the tests, one has all clusters, and a file goes to one of them.

    Clusters beside each other would want the same ports.
    """
    for item in items:
        cluster = "cluster" in item.path.parts
        item.add_marker(pytest.mark.xdist_group("cluster" if cluster else str(item.path)))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray with four logical CPUs, in a folder of its own, for all tests that need it."""
    import ray

    # Ray's sockets lie below it and their paths may have 107 characters: pytest's folders are long.
    folder = tempfile.mkdtemp(prefix="mleg-")
    os.environ["RAY_TMPDIR"] = folder
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real reference data beside the repository; a test that needs it may skip."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no reference data in ../shared/data: they are not part of the project")
    return folder
