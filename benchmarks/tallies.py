"""What the tallies of a large sample cost: to count beside the shards, to read and to merge.

An untrained generator of electrons makes the events; what is counted costs the same whatever it
has learned.

    python benchmarks/tallies.py --events 10_000_000
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.results import keep

from mleg_ray.evaluation.tally import FineBins, merge
from mleg_ray.sampling.plan import BATCH, SampleSpec
from mleg_ray.sampling.sampler import Sampler
from tests.checkpoints import small_checkpoint

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what the work returns, and its seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def main() -> None:
    """Generate, count, write, read and merge; print events per second of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--shard-events", type=int, default=250_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = small_checkpoint(Path(folder) / "checkpoint", recipe="fatgan-quick")
        spec = SampleSpec(
            checkpoint=checkpoint.digest,
            events=options.events,
            shard_events=options.shard_events,
            seed=1,
            conditions={"beam_energy": 50.0},
            compiled=False,
            batch_events=BATCH["cpu"].of(checkpoint.feature_map.space.nbytes),
        )
        sampler = Sampler(checkpoint, spec, folder)
        bins = FineBins.from_bytes(sampler.learn_bins().to_bytes())
        generating, counting, files = [], [], []
        for shard in spec.plan():
            events, seconds = timed(partial(sampler.generate, shard))
            generating.append(shard.events / seconds)
            tally, seconds = timed(partial(sampler.tally, events, bins))
            counting.append(shard.events / seconds)
            place = Path(folder, f"{shard.index}.safetensors")
            place.write_bytes(tally.to_bytes())
            files.append(place)
        merging = []
        for _ in range(5):
            whole, seconds = timed(lambda: merge(((f.name, f.read_bytes()) for f in files), bins))
            assert whole.events == options.events
            merging.append(options.events / seconds)
        result = {
            "events": options.events,
            "axes": len(bins.edges),
            "generated_per_second": statistics.median(generating),
            "counted_per_second": statistics.median(counting),
            "merged_per_second": statistics.median(merging),
            "bytes_per_shard": files[0].stat().st_size,
        }
    keep("tallies", result)
    for key, value in result.items():
        if isinstance(value, (int, float)):
            print(f"{key:22s} {value:,.0f}")


if __name__ == "__main__":
    main()
