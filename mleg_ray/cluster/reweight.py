"""Reweight a generated sample on Ray: one task a shard."""

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import ShardRecord
from mleg_ray.cluster.folder import fill
from mleg_ray.cluster.session import environment
from mleg_ray.console import say
from mleg_ray.evaluation.samples.datasets import from_dataset, from_generated, matched
from mleg_ray.folder import SealedFolder
from mleg_ray.sampling.reweight import Mode, Reweighting, ReweightSpec, learn_weights
from mleg_ray.storage import absolute

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
    folder = SealedFolder(absolute(out), spec)
    folder.require_own()
    true_events = from_dataset(truth, "train", seed=seed, max_events=LEARNING_EVENTS)
    generated_events = from_generated(generated, seed=seed, max_events=LEARNING_EVENTS)
    weigher = learn_weights(true_events, generated_events, seed=seed)
    work = Reweighting(folder, generated, weigher)
    files = {index: shard.file for index, shard in enumerate(generated.manifest.shards)}
    records = fill(folder, files, ShardRecord, "Reweighting", work.make)
    dataset = work.finish(records, environment())
    before, after = generated.rows(), dataset.rows()
    effective = after * (weigher.efficiency if mode == "weights" else 1.0)
    say(
        f"Reweighted {dataset.manifest.name}: {after:,} of {before:,} events, worth "
        f"{effective:,.0f} unweighted ones; largest weight {weigher.largest:.3g}, in {folder.uri}"
    )
    return dataset
