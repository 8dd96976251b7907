"""Reweight a generated sample on Ray: one task a shard."""

import ray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.session import environment, in_parallel
from mleg_ray.console import say
from mleg_ray.evaluation.datasets import from_dataset, from_generated, matched
from mleg_ray.sampling.reweight import (
    Mode,
    Reweighting,
    ReweightRecord,
    ReweightSpec,
    learn_weights,
    require_own,
)

LEARNING_EVENTS = 300_000


def reweight(
    sample_uri: str, truth: Dataset, out: str, *, mode: Mode = "weights", seed: int = 1
) -> Dataset:
    """Write a sample again with weights learned from the truth's train split, or accept/reject it.

    The same call again completes what was interrupted.

    Raises:
        DataError: fields, units or conditions differ, or there are too few events.
        ConfigError: `out` holds something else.
    """
    truth, generated = matched(truth, Dataset.open(sample_uri))
    spec = ReweightSpec(sample=generated.digest, truth=truth.digest, mode=mode, seed=seed)
    require_own(out, spec)
    true_events = from_dataset(truth, "train", seed=seed, max_events=LEARNING_EVENTS)
    generated_events = from_generated(generated, seed=seed, max_events=LEARNING_EVENTS)
    weigher = learn_weights(true_events, generated_events, seed=seed)
    work = Reweighting(spec, generated, weigher, out)
    records = work.whole()
    missing = [k for k in range(len(generated.manifest.shards)) if k not in records]
    if missing:
        made = in_parallel("Reweighting", _make, work, missing)
        records |= {record.index: record for record in made}
    dataset = work.finish(records, environment())
    before, after = generated.rows(), dataset.rows()
    effective = after * (weigher.efficiency if mode == "weights" else 1.0)
    say(
        f"Reweighted {dataset.manifest.name}: {after:,} of {before:,} events, worth "
        f"{effective:,.0f} unweighted ones; largest weight {weigher.largest:.3g}, in {out}"
    )
    return dataset


@ray.remote(num_cpus=1, max_retries=3)
def _make(work: Reweighting, index: int) -> ReweightRecord:
    return work.make(index)
