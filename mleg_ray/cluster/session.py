"""A Ray to work with: the running cluster, or a private one on this machine."""

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import ray
import ray._private.worker
from pydantic import NonNegativeInt, PositiveInt
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from mleg_ray import checkpoint
from mleg_ray.config import Config, parse
from mleg_ray.console import progress_bar
from mleg_ray.errors import ConfigError, ResourceError, UserError

Item = TypeVar("Item")
Made = TypeVar("Made")

# Of Ray's own lines, which it prints among ours: nothing that a user could act on.
NO_NEWS = "worker processes have been started on node"
NUMBERS = " Lease ID: "  # here begins a kilobyte of them, behind the sentence that a worker died
_print = ray._private.worker.print_to_stdstream

# A process of Ray is gone, and not by an error of what ran in it.
LOST = (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    WorkerCrashedError,
)

AUTOSCALED = "MLEG_AUTOSCALED"  # environment variable: the nodes that a cluster may start


@contextlib.contextmanager
def ray_session(
    cpus: int | None = None, *, spare: int = 1, verbose: bool = False
) -> Iterator[None]:
    """Give the block a connected Ray with `cpus` CPUs for workers (all of the machine if None).

    A private Ray has `spare` logical CPUs more: Ray Data's reading tasks wait for ever without one.

    An already initialised Ray is used as it is; else the cluster of `RAY_ADDRESS` (which
    `ray job` sets); else a private Ray is started on this machine. Only what this function started
    is stopped at the end. `verbose` shows the workers' own output.

    Raises:
        ResourceError: the cluster cannot be reached, it or the machine can never give that many
            CPUs, or the block lost a process that nothing could replace.
    """
    if ray.is_initialized():
        require_cpus(cpus or 1)
        with _losses_told():
            yield
        return
    ray._private.worker.print_to_stdstream = _print_news
    quiet: dict[str, Any] = {
        "log_to_driver": verbose,
        "logging_level": "INFO" if verbose else "ERROR",
    }
    if address := os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(address="auto", **quiet)
        except Exception as error:  # of many types: no answer, a wrong token, another version
            raise ResourceError(
                f"RAY_ADDRESS={address}: {str(error).splitlines()[-1]}; see that this cluster runs "
                "and is yours (RAY_AUTH_TOKEN), or unset RAY_ADDRESS to work on this machine alone"
            ) from error
    else:
        _start_local(cpus, spare, quiet)
    try:
        require_cpus(cpus or 1)
        with _losses_told():
            yield
    finally:
        ray.shutdown()


def require_cpus(n: int) -> None:
    """Fail now, and not by waiting for ever, if `n` CPUs cannot be had.

    An autoscaling cluster counts with all the nodes it may start.

    Raises:
        ResourceError: names what there is.
    """
    available = possible_cpus()
    if n > available:
        raise ResourceError(
            f"{n} CPUs for workers are asked for, Ray has {available}; lower --workers or connect "
            "to a larger cluster with RAY_ADDRESS. What nodes a cluster adds when they are needed, "
            f"{AUTOSCALED} must say"
        )


def require_node(cpus: int, gpus: float, *, by: str, lower: str) -> None:
    """Fail now, and not by waiting for ever, if no single node has so many CPUs and GPUs.

    An autoscaling cluster counts with all the kinds of nodes it may start. `by` says who asks for
    them, `lower` which settings would ask for less.

    Raises:
        ResourceError: names what there is.
    """
    found = node_kinds()
    if not any(cpus <= has_cpus and gpus <= has_gpus for has_cpus, has_gpus in found):
        known = "; ".join(f"{c} CPUs and {g} GPUs" for c, g in sorted(set(found)))
        raise ResourceError(
            f"{by} asks for {cpus} CPUs and {gpus:g} GPUs, no node has as many (there are: "
            f"{known}); lower {lower}, or connect to another cluster"
        )


def node_kinds() -> list[tuple[int, int]]:
    """Return the CPUs and GPUs of every node of the connected Ray, and of those it may start."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    present = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
    return present + [(group.cpus, group.gpus) for group in _groups()]


def possible_cpus() -> int:
    """Return the CPUs of the connected Ray, with all the nodes that it may start."""
    return max(_present("CPU"), sum(group.count * group.cpus for group in _groups()))


def possible_gpus() -> int:
    """Return the GPUs of the connected Ray, with all the nodes that it may start."""
    return max(_present("GPU"), sum(group.count * group.gpus for group in _groups()))


def usable_cpus() -> int:
    """Return the CPUs this process may run on (a batch system may have given it only some)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment() -> dict[str, str]:
    """Return the versions that made a result on Ray, Ray's among them."""
    return checkpoint.environment() | {"ray": ray.__version__}


def bounded(
    submit: Callable[[Item], "ray.ObjectRef[Any]"], items: Iterable[Item], in_flight: int
) -> Iterator[Any]:
    """Yield results in the order they come, with at most `in_flight` tasks submitted at once.

    Raises:
        UserError: the task's own, as if it had been raised here.
    """
    waiting: list[ray.ObjectRef[Any]] = []
    remaining = iter(items)
    try:
        while True:
            for item in remaining:
                waiting.append(submit(item))
                if len(waiting) == in_flight:
                    break
            if not waiting:
                return
            [done], waiting = ray.wait(waiting, num_returns=1)
            yield fetch(done)
    finally:
        for reference in waiting:
            ray.cancel(reference)


def in_parallel(title: str, make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """Yield what is made of each item, a task each, in the order it comes, under a progress bar.

    Raises:
        UserError: the task's own.
    """
    with ray_session(), progress_bar(title, len(items)) as bar:
        shared = ray.put(make)
        # Two tasks a CPU: one runs while the next is on its way.
        in_flight = 2 * max(1, possible_cpus())
        results = bounded(lambda item: _made.remote(shared, item), items, in_flight)
        for done, result in enumerate(results, start=1):
            bar.update(done)
            yield result


@ray.remote(num_cpus=1, max_retries=3)
def _made(make: Callable[[Any], Any], item: Any) -> Any:  # noqa: ANN401 - as in `in_parallel`
    return make(item)


def fetch(reference: "ray.ObjectRef[Any]") -> Any:  # noqa: ANN401 - whatever the task returned
    """Return a task's result; a `UserError` of the task is raised without Ray's wrapping."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise


@contextlib.contextmanager
def _losses_told() -> Iterator[None]:
    try:
        yield
    except LOST as error:
        raise ResourceError(
            "Ray lost a process that was at work, and could not replace it: it was killed, most "
            "often because memory ran out, or its node is gone; see that there is enough of it, "
            "and run the same command again, which keeps what is whole"
        ) from error


def _print_news(data: dict[str, Any], ignore_prefix: bool) -> None:
    """Print what Ray has to say of its cluster, but for `NO_NEWS` and `NUMBERS`."""
    if lines := [line.split(NUMBERS)[0] for line in data["lines"] if NO_NEWS not in line]:
        _print(data | {"lines": lines}, ignore_prefix=ignore_prefix)


def _present(resource: str) -> int:
    return int(ray.cluster_resources().get(resource, 0))  # type: ignore[no-untyped-call]


class _NodeGroup(Config):
    """Nodes of one kind that a cluster may start."""

    count: PositiveInt
    cpus: PositiveInt
    gpus: NonNegativeInt = 0


def _groups() -> list[_NodeGroup]:
    """Return what the environment says of nodes to come: Ray itself tells no driver."""
    text = os.environ.get(AUTOSCALED, "[]")
    try:
        groups = json.loads(text)
    except ValueError:
        groups = None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ConfigError(
            f"{AUTOSCALED}={text}: write the kinds of nodes that the cluster may start as "
            '[{"count": 32, "cpus": 32}, {"count": 8, "cpus": 8, "gpus": 1}]'
        )
    return [parse(_NodeGroup, group, AUTOSCALED) for group in groups]


def _start_local(cpus: int | None, spare: int, quiet: dict[str, Any]) -> None:
    usable = usable_cpus()
    if cpus is not None and cpus > usable:
        raise ResourceError(
            f"{cpus} CPUs for workers are asked for, this machine has {usable}; lower --workers or "
            "connect to a cluster with RAY_ADDRESS"
        )
    # Ray guards a new local cluster with a token. Given here, it need not be written to the home
    # directory, where every later cluster of the user would ask for it.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    num_cpus = (cpus or usable) + spare
    try:
        ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **quiet)
    except Exception as error:  # Ray raises nothing more particular when a start takes too long
        raise ResourceError(
            f"Ray did not start: {error}; see what else keeps this machine busy, and run again"
        ) from error
