"""The cluster file passes Ray's own validation, offline, and keeps what the house promises."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(cluster))


def test_a_misspelt_key_would_be_refused(cluster: dict[str, Any]) -> None:
    cluster["idle_timeout_minuts"] = 5
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        validate_config(prepare_config(cluster))


def test_head_is_on_demand_and_takes_no_tasks(cluster: dict[str, Any]) -> None:
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]


def test_workers_are_spot_and_scale_from_zero(cluster: dict[str, Any]) -> None:
    workers = dict(cluster["available_node_types"])
    workers.pop(cluster["head_node_type"])
    assert any("GPU" in node["resources"] for node in workers.values())
    for node in workers.values():
        assert node["min_workers"] == 0
        assert node["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_dashboard_is_not_open_to_the_world(cluster: dict[str, Any]) -> None:
    assert any("--dashboard-host=127.0.0.1" in line for line in cluster["head_start_ray_commands"])
