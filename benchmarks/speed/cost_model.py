"""What a very large sample takes: time, bytes and dollars.

The rates are those of the row `production` on this machine; that a node's vCPU makes as many, and
what a node costs, are assumptions, which the table repeats.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from benchmarks.common.options import Options
from benchmarks.common.results import Results, Row

EVENTS = (1e9, 1e10, 1e12)
SHARD_EVENTS = 10_000_000
OBJECTS = 3  # of a shard: events, tally, record
NODE_START = 240.0  # seconds until a node works: boot, install, join
DRIVER_RATE = 500.0  # shards/s that one driver can hand out
STORED = 0.023  # dollars a GB and month
PUTS = 0.005 / 1000  # dollars


@dataclass(frozen=True)
class Nodes:
    """`count` nodes of a kind, `vcpus` workers and `price` dollars an hour each."""

    kind: str
    count: int
    vcpus: int
    price: float


NODES = (
    Nodes("c6i.8xlarge on demand", 1, 32, 1.36),
    Nodes("c6i.8xlarge spot", 4, 32, 0.54),
    Nodes("c6i.8xlarge spot", 32, 32, 0.54),
)


@dataclass(frozen=True, kw_only=True)
class Asked(Options):
    """The measured rates."""

    events_per_second: Annotated[float, typer.Option(help="Of one vCPU.")] = 820_000
    bytes_per_event: float = 13.8


def cost(events: float, nodes: Nodes, rate: float, event_bytes: float) -> Row:
    """Return what `events` cost if a vCPU writes `rate` of them a second."""
    shards = events / SHARD_EVENTS
    busy = max(events / (rate * nodes.vcpus * nodes.count), shards / DRIVER_RATE)
    hours = (NODE_START + busy) / 3600
    gigabytes = events * event_bytes / 1e9
    return {
        "hours": hours,
        "TB": gigabytes / 1e3,
        "compute, $": hours * nodes.count * nodes.price,
        "requests, $": shards * OBJECTS * PUTS,
        "stored, $ a month": gigabytes * STORED,
    }


def measure(options: Asked, results: Results) -> None:
    """Compute each size on each choice of nodes."""
    rate, size = options.events_per_second, options.bytes_per_event
    assumed = {"events/s of a vCPU": rate, "bytes an event": size, "s to start": NODE_START}
    for events in EVENTS:
        for nodes in NODES:
            asked = f"{nodes.count} x {nodes.kind}, ${nodes.price}/h"
            labels = {"events": f"{events:.0e}", "nodes": asked, **assumed}
            results.add(labels, cost(events, nodes, rate, size))
