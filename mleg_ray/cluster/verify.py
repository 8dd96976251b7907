"""Verify a dataset on Ray: one task a shard."""

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.session import in_parallel
from mleg_ray.console import say
from mleg_ray.errors import DataError
from mleg_ray.sampling.verification import (
    ShardCheck,
    Verification,
    conclude,
    faults_in_words,
)
from mleg_ray.storage import absolute


def verify(uri: str) -> Verification:
    """Check a prepared or generated dataset from end to end.

    Sizes and SHA-256, schema and units, row counts, finite values, records and seeds against the
    plan, tallies counted again, copies of events, files that nothing accounts for.

    Raises:
        DataError: something is wrong; the message lists it. Nothing is changed.
        UserError: the dataset, or its plan, cannot be read at all.
    """
    dataset = Dataset.open(absolute(uri))
    check, promises = ShardCheck.of(dataset)
    reports = list(in_parallel("Verifying", check, promises))
    found = conclude(dataset, check, reports)
    if found.faults:
        raise DataError(
            f"{dataset.uri}: faults found ({len(found.faults)})\n{faults_in_words(found)}\nThe "
            "command that made the dataset, run again, makes again what is gone or altered"
        )
    say(
        f"{dataset.uri}: {found.events:,} events in {found.shards:,} shards are whole and "
        f"unaltered; {found.copies:,} copies among {found.compared:,} events compared"
    )
    if found.shared:
        say(
            f"  {found.shared:,} of the copies are in another split than the first of them: models "
            "are judged by events that they were trained on. If events do not repeat by nature, "
            "name what tells them apart in source.unique, or mend the files, and prepare again"
        )
    return found
