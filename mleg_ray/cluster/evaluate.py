"""Judge a generated dataset by true events; needs no Ray."""

from collections.abc import Mapping, Sequence

from mleg_ray.catalog.dataset import Dataset, read_json
from mleg_ray.checkpoint import CARD, Card
from mleg_ray.config import parse
from mleg_ray.console import progress_bar, say
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.sample import (
    MAX_EVENTS,
    Sample,
    from_dataset,
    from_tallies,
    has_tallies,
    judged_by,
)
from mleg_ray.evaluation.scorecards import Scorecard, scorecard
from mleg_ray.report.html import write_report
from mleg_ray.storage import exists, join, require_writable


def evaluate(
    sample_uri: str,
    truth: Dataset,
    split: str,
    out: str,
    *,
    seed: int,
) -> Scorecard:
    """Compare the sample with a split of the truth; write scorecard, figures and page into `out`.

    Unphysical events are counted among all generated ones; everything else compares the split (at
    most 100,000 random events of it) with as many random generated events.

    Raises:
        DataError: fields, units or conditions differ, or events are missing or damaged.
        ResourceError: nothing can be written into `out`.
    """
    generated = judged_by(truth, Dataset.open(sample_uri))
    require_writable(out)
    rows = truth.rows(split), generated.rows()
    with progress_bar("Reading events", sum(rows)) as bar:
        true_events = from_dataset(truth, split, seed=seed, progress=bar.update)
        read = from_tallies if has_tallies(generated) else from_dataset
        generated_events = read(
            generated,
            seed=seed,
            max_events=min(rows[0], MAX_EVENTS),
            progress=lambda done: bar.update(rows[0] + done),
        )
    with progress_bar("Evaluating", len(METRICS)) as bar:
        card = scorecard(
            true_events,
            generated_events,
            training=_training_events(truth, generated, seed),
            seed=seed,
            progress=bar.update,
        )
    write_report(card, true_events, generated_events, out, _history(generated))
    for line in card.headline():
        say(line)
    return card


def _training_events(truth: Dataset, generated: Dataset, seed: int) -> Sample | None:
    """Return the train split, if it is what the sample's checkpoint was trained on."""
    checkpoint = generated.manifest.provenance.get("checkpoint") or {}
    trained_on = checkpoint.get("card", {}).get("dataset", {}).get("dataset_digest")
    if trained_on != truth.digest:
        return None
    return from_dataset(truth, "train", seed=seed)


def _history(generated: Dataset) -> Sequence[Mapping[str, float]]:
    """Return the training run's snapshots if the sample's checkpoint is still where it was."""
    uri = generated.manifest.provenance.get("checkpoint", {}).get("uri")
    if uri is None or not exists(join(uri, CARD)):
        return ()
    place = join(uri, CARD)
    return parse(Card, read_json(place), place).history
