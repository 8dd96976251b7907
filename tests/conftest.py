"""What all tests share: one private Ray for the session, and small dataset specifications."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Before any test module imports Ray, which reads them once.
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.1"  # report() waits for it: 2 s by default
# Before any imports torch. Beside other work, threads that spin at each other's barriers need
# many times as long; the tests' networks gain nothing by them on an idle machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("RAY_ADDRESS", None)
os.environ.pop("MLEG_IMPORT_ROOT", None)
os.environ.pop("MLEG_STORAGE", None)

settings.register_profile("beside other work", deadline=None)
settings.load_profile("beside other work")


class ClustersTogether(LoadScopeScheduling):
    """Shares files among processes; one has all that start clusters, which want the same ports."""

    CLUSTERS = "clusters"

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return self.CLUSTERS if file.startswith("tests/cluster/") else file

    def _assign_work_unit(self, node: Any) -> None:
        """Give out the clusters first: they take the longest, though they are not the most."""
        if self.CLUSTERS in self.workqueue:
            self.workqueue.move_to_end(self.CLUSTERS, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ClustersTogether:
    """Let `pytest -n 2` share the tests so, whatever `--dist` says."""
    return ClustersTogether(config, log)


@pytest.fixture(autouse=True)
def _claims_settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mleg_ray.heartbeat.SETTLE_SECONDS", 0.0)


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
