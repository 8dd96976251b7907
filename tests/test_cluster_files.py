"""Clusters on AWS, Kubernetes and Slurm: valid as far as can be told offline, spot, and guarded."""

import json
import os
import re
import subprocess
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


def test_jobs_are_told_which_nodes_may_start(cluster: dict[str, Any]) -> None:
    [told] = re.findall(r"MLEG_AUTOSCALED='(.*?)'", cluster["head_start_ray_commands"][1])
    groups = dict(cluster["available_node_types"])
    groups.pop(cluster["head_node_type"])
    assert json.loads(told) == [
        {"count": group["max_workers"], "cpus": group["resources"]["CPU"]}
        | ({"gpus": gpus} if (gpus := group["resources"].get("GPU")) else {})
        for group in groups.values()
    ]


@pytest.fixture
def kuberay() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    return dict(job["spec"])


def test_kuberay_head_takes_no_tasks_and_workers_scale_from_zero(kuberay: dict[str, Any]) -> None:
    cluster = kuberay["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = cluster["workerGroupSpecs"]
    assert [group["groupName"] for group in groups] == ["cpu", "gpu"]
    for group in groups:
        assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *groups):
        pod = group["template"]["spec"]
        assert pod["restartPolicy"] == "Never"  # the autoscaler replaces pods, not Kubernetes
        [container] = pod["containers"]
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert {"name": "MLEG_STORAGE", "value": "s3://CHANGE-my-bucket/mleg"} in container["env"]
    assert "nvidia.com/gpu" in groups[1]["template"]["spec"]["containers"][0]["resources"]["limits"]


def test_kuberay_jobs_are_told_which_nodes_may_start(kuberay: dict[str, Any]) -> None:
    cluster = kuberay["rayClusterSpec"]
    [container] = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    [told] = [v["value"] for v in container["env"] if v["name"] == "MLEG_AUTOSCALED"]
    limits = [
        group["template"]["spec"]["containers"][0]["resources"]["limits"]
        for group in cluster["workerGroupSpecs"]
    ]
    assert json.loads(told) == [
        {"count": group["maxReplicas"], "cpus": int(limit["cpu"])}
        | ({"gpus": int(gpus)} if (gpus := limit.get("nvidia.com/gpu")) else {})
        for group, limit in zip(cluster["workerGroupSpecs"], limits, strict=True)
    ]


def test_kuberay_is_guarded_and_cleans_up(kuberay: dict[str, Any]) -> None:
    assert kuberay["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert kuberay["shutdownAfterJobFinishes"]
    assert kuberay["entrypoint"].startswith("mleg sample s3://")
    assert "AWS_SECRET_ACCESS_KEY:" not in (ROOT / "jobs" / "kuberay.yaml").read_text()


def test_kuberay_has_the_locked_ray(kuberay: dict[str, Any]) -> None:
    locked = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"ray=={kuberay['rayClusterSpec']['rayVersion']}" in locked


# What Slurm would do on one node, and a Ray that only tells how it was called.
COMMANDS = {
    "scontrol": "echo node1; echo node2",
    "srun": 'while [ "${1#--}" != "$1" ]; do echo "$1" >> "$TOLD"; shift; done; exec "$@"',
    "hostname": "echo 10.0.0.1 10.0.0.2",
    "ray": 'printf "%s\\n" "$@" "$RAY_AUTH_MODE" "$RAY_AUTH_TOKEN" >> "$TOLD"',
}


def slurm(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    for name, body in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "TOLD": str(folder / "told"),
        "VIRTUAL_ENV": "active",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "123456",
        "SLURM_CPUS_ON_NODE": "64",
    }
    return subprocess.run(
        [ROOT / "jobs" / "slurm.sh", *words],
        env=environment | variables, capture_output=True, text=True,
    )  # fmt: skip


def test_slurm_starts_one_ray_over_all_nodes(tmp_path: Path) -> None:
    done = slurm(tmp_path, "sample", "my run/checkpoint", "--events", "1e9", MLEG_STORAGE="/shared")
    assert done.returncode == 0, done.stderr
    *told, mode, token = (tmp_path / "told").read_text().splitlines()
    assert told == [
        *("--nodes=1", "--ntasks=1", "--nodelist=node1"),
        *("--nodes=2", "--ntasks=2"),
        *("symmetric-run", "--address", "10.0.0.1:23456", "--min-nodes", "2"),
        *("--num-cpus", "64", "--num-gpus", "0"),
        *("--", "env", "RAY_ADDRESS=10.0.0.1:23456"),
        *("mleg", "sample", "my run/checkpoint", "--events", "1e9"),
    ]
    assert mode == "token"
    assert len(token) == 64
    assert token not in done.stdout + done.stderr


def test_slurm_says_what_it_lacks(tmp_path: Path) -> None:
    assert "usage" in slurm(tmp_path, MLEG_STORAGE="/shared").stderr
    assert "MLEG_STORAGE: must name a place" in slurm(tmp_path, "sample", "checkpoint").stderr
