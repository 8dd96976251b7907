"""What a very large sample takes: time, bytes and dollars, from measured rates and assumed prices.

    python benchmarks/cost_model.py --events-per-second 820_000 --bytes-per-event 13.8

The rates are those of `production.py` on this machine; that a node's vCPU makes as many, and what a
node costs, are assumptions, which the table repeats.
"""

import argparse
from dataclasses import asdict, dataclass

from common.results import keep

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


@dataclass(frozen=True)
class Cost:
    """What a sample of `events` takes; `stored` is dollars a month."""

    events: float
    nodes: Nodes
    hours: float
    terabytes: float
    compute: float
    requests: float
    stored: float


def cost(events: float, nodes: Nodes, rate: float, event_bytes: float) -> Cost:
    """Return what `events` cost if a vCPU writes `rate` of them a second."""
    shards = events / SHARD_EVENTS
    busy = max(events / (rate * nodes.vcpus * nodes.count), shards / DRIVER_RATE)
    hours = (NODE_START + busy) / 3600
    gigabytes = events * event_bytes / 1e9
    return Cost(
        events=events,
        nodes=nodes,
        hours=hours,
        terabytes=gigabytes / 1e3,
        compute=hours * nodes.count * nodes.price,
        requests=shards * OBJECTS * PUTS,
        stored=gigabytes * STORED,
    )


def main() -> None:
    """Print the table and keep it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events-per-second", type=float, default=820_000, help="of one vCPU")
    parser.add_argument("--bytes-per-event", type=float, default=13.8)
    asked = parser.parse_args()
    rate, size = asked.events_per_second, asked.bytes_per_event
    costs = [cost(events, nodes, rate, size) for events in EVENTS for nodes in NODES]
    print(f"{rate:,.0f} events/s a vCPU, {size:g} bytes an event, {NODE_START:g} s for a node")
    print("| events | nodes | time | TB | compute, $ | requests, $ | stored, $ a month |")
    print("|---|---|---|---|---|---|---|")
    for c in costs:
        time = f"{60 * c.hours:.3g} min" if c.hours < 2 else f"{c.hours:.3g} h"
        print(
            f"| {c.events:.0e} | {c.nodes.count} x {c.nodes.kind}, ${c.nodes.price}/h | {time} | "
            f"{c.terabytes:.3g} | {c.compute:.2f} | {c.requests:.2f} | {c.stored:.2f} |"
        )
    keep("cost_model", {"costs": [asdict(c) for c in costs]})


if __name__ == "__main__":
    main()
