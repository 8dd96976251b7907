"""Reweight a generated sample on Ray: one task a shard."""

import ray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.session import bounded, cluster_cpus, ray_session
from mleg_ray.console import progress_bar, say
from mleg_ray.evaluation.sample import fine_bins, from_dataset, from_tallies, judged_by
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
    opened = Dataset.open(sample_uri)
    truth = truth.at(opened.manifest.conditions)
    generated = judged_by(truth, opened)
    spec = ReweightSpec(sample=generated.digest, truth=truth.digest, mode=mode, seed=seed)
    require_own(out, spec)
    true_events = from_dataset(truth, "train", seed=seed, max_events=LEARNING_EVENTS)
    read = from_dataset if fine_bins(generated) is None else from_tallies
    generated_events = read(generated, seed=seed, max_events=LEARNING_EVENTS)
    weigher = learn_weights(true_events, generated_events, seed=seed)
    work = Reweighting(spec, opened, weigher, out)
    records = work.whole()
    shards = opened.manifest.shards
    missing = [index for index in range(len(shards)) if index not in records]
    if missing:
        with ray_session(), progress_bar("Reweighting", sum(s.rows for s in shards)) as bar:
            shared = ray.put(work)
            for record in bounded(
                lambda index: _make.remote(shared, index), missing, 2 * max(1, cluster_cpus())
            ):
                records[record.index] = record
                bar.update(sum(shards[index].rows for index in records))
    dataset = work.finish(records)
    before, after = opened.rows(), dataset.rows()
    effective = after * (weigher.efficiency if mode == "weights" else 1.0)
    say(
        f"Reweighted {dataset.manifest.name}: {after:,} of {before:,} events, worth "
        f"{effective:,.0f} unweighted ones; largest weight {weigher.largest:.3g}, in {out}"
    )
    return dataset


@ray.remote(num_cpus=1, max_retries=3)
def _make(work: Reweighting, index: int) -> ReweightRecord:
    return work.make(index)
