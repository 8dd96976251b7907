"""What the tallies of a large sample take.

An untrained generator of electrons makes the events; what is counted costs the same whatever it
has learned.
"""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results, timed
from mleg_ray.commands.options import Events
from mleg_ray.evaluation.samples.tally import FineBins, merge
from mleg_ray.sampling.plan import BATCH, SampleSpec
from mleg_ray.sampling.sampler import Sampler
from mleg_ray.sampling.spectra import constant
from tests.checkpoints import small_checkpoint


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """What is counted."""

    events: Events = 10_000_000


def measure(options: Asked, results: Results) -> None:
    """Generate, count and write shard by shard; then read and merge all several times."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = small_checkpoint(Path(folder) / "checkpoint", recipe="fatgan-quick")
        spec = SampleSpec(
            checkpoint=checkpoint.digest,
            events=options.few(options.events),
            shard_events=options.few(250_000, 500),
            seed=1,
            conditions={"beam_energy": constant(50.0)},
            compiled=False,
            batch_events=BATCH["cpu"].of(checkpoint.feature_map.space.nbytes),
        )
        sampler = Sampler(checkpoint, spec, folder)
        bins = FineBins.from_bytes(sampler.learn_bins().to_bytes())
        labels = {"events": spec.events, "axes": len(bins.edges)}
        files = []
        for shard in spec.plan():
            events, generating = timed(partial(sampler.generate, shard))
            tally, counting = timed(partial(sampler.tally, events, bins))
            file = Path(folder, f"{shard.index}.safetensors")
            file.write_bytes(tally.to_bytes())
            files.append(file)
            figures = {
                "events generated/s": shard.events / generating,
                "events counted/s": shard.events / counting,
                "bytes of the tally": file.stat().st_size,
            }
            results.add(labels | {"in": "shards"}, figures, shard=shard.index)
        for number in options.turns:
            whole, merging = timed(
                lambda: merge(((file.name, file.read_bytes()) for file in files), bins)
            )
            assert whole.events == spec.events
            figures = {"events merged/s": spec.events / merging}
            results.add(labels | {"in": "all"}, figures, round=number)
