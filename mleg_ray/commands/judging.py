"""Judge generated datasets by true events; only a checkpoint, which is sampled first, needs Ray."""

from collections.abc import Sequence
from typing import Literal

from rich.table import Table

from mleg_ray.catalog.dataset import SAMPLED, Bound, Dataset, Worth, note_worth
from mleg_ray.checkpoint import CARD, Card, run_folder
from mleg_ray.config import read_config
from mleg_ray.console import console, progress_bar, say
from mleg_ray.errors import ConfigError, ResourceError
from mleg_ray.evaluation.samples.datasets import (
    MAX_EVENTS,
    from_dataset,
    from_generated,
    matched,
    of_independent_fields,
)
from mleg_ray.evaluation.samples.provenance import recorded
from mleg_ray.evaluation.scorecards import Scorecard, scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate, Reading
from mleg_ray.folder import SealedFolder
from mleg_ray.report import side_by_side
from mleg_ray.report.folder import FIGURES, ResultsPlan, renew
from mleg_ray.report.html import REPORT, SCORECARD, usable, worth, write_report
from mleg_ray.report.side_by_side import require_same_truth, summary_lines, write_side_by_side
from mleg_ray.sampling.spectra import constant
from mleg_ray.storage import absolute, exists, join

TRAIN = "train"  # the split that generators learn from

# Of a checkpoint so many times the compared events are generated: for rates of rare faults.
SAMPLED_TIMES = 10


class EvaluationPlan(ResultsPlan):
    """What the folder of a sample's report is for."""

    kind: Literal["report"] = "report"


class ComparisonPlan(ResultsPlan):
    """What the folder of a comparison is for; the reports of its samples lie in folders below."""

    kind: Literal["comparison"] = "comparison"


def evaluate(
    sample_uri: str,
    truth: Dataset,
    split: str,
    out: str,
    *,
    seed: int,
    events: int = MAX_EVENTS,
) -> Scorecard:
    """Compare the sample with a split of the truth; write scorecard, figures and page into `out`.

    The sample's manifest says from then on what it can be used for, if it can be written.
    Of a truth of several conditions the part is taken that has the sample's. Unphysical events are
    counted among all generated ones, and histograms are of all that have a tally; everything else
    compares at most so many random `events` of the split with as many generated ones.

    Raises:
        DataError: fields, units or conditions differ, or events are missing or damaged.
        ResourceError: nothing can be written into `out`.
    """
    truth, generated = matched(truth, Dataset.open(sample_uri))
    truth.shards(split)  # refused before there is a folder
    of = {"sample": generated.digest, "truth": truth.digest, "split": split, "seed": seed}
    of |= {"events": events}
    folder = SealedFolder(
        absolute(out), EvaluationPlan(of=of, results=(FIGURES, REPORT, SCORECARD))
    )
    with folder.work():
        card = _judged(truth, split, generated, folder, seed, events)
    for line in card.headline():
        say(line)
    if exists(join(sample_uri, SAMPLED)):
        try:
            note_worth(sample_uri, worth_of(card, truth.digest, split))
        except ResourceError as error:
            say(f"{error}; so the report alone says what the sample can be used for")
    return card


def worth_of(card: Scorecard, truth: str, split: str) -> Worth:
    """Return what a scorecard, of a split of the truth of that digest, finds a sample good for."""

    def bound(figure: Estimate | Reading) -> Bound:
        error = figure.uncertainty if isinstance(figure, Estimate) else None
        return Bound(events=figure.value, uncertainty=error)

    return Worth(
        truth=truth,
        split=split,
        true_events=card.truth.events,
        indistinguishable={name: bound(figure) for name, figure in usable(card)},
        equivalent={
            name: {region: bound(figure) for region, figure in regions.items()}
            for name, regions in worth(card).items()
        },
    )


def _judged(
    truth: Dataset,
    split: str,
    generated: Dataset,
    folder: SealedFolder[EvaluationPlan],
    seed: int,
    events: int,
) -> Scorecard:
    learned = _taught(generated) == truth.digest
    true_rows, generated_rows = truth.rows(split), generated.rows()
    both = true_rows + generated_rows
    with progress_bar("Reading events", both + (truth.rows(TRAIN) if learned else 0)) as bar:
        generated_events = from_generated(
            generated,
            seed=seed,
            max_events=min(true_rows, events),
            progress=bar.update,
        )
        tally = generated_events.tally
        true_events = from_dataset(
            truth,
            split,
            seed=seed,
            max_events=events,
            bins=tally.bins if tally else None,
            progress=lambda done: bar.update(generated_rows + done),
        )
        training = (
            from_dataset(truth, TRAIN, seed=seed, progress=lambda done: bar.update(both + done))
            if learned
            else None
        )
        taken = TRAIN if learned else split
        null = of_independent_fields(truth, taken, seed=seed, max_events=len(generated_events))
    with progress_bar("Evaluating", 1.0) as bar:
        card = scorecard(
            true_events,
            generated_events,
            training=training,
            null=null,
            seed=seed,
            progress=bar.update,
        )
    renew(folder)
    write_report(card, true_events, generated_events, folder.uri, _trained(generated))
    return card


def sampled(
    uri: str,
    truth: Dataset,
    split: str,
    storage: str,
    *,
    seed: int,
    events: int = MAX_EVENTS,
) -> str:
    """Return the sample at `uri`, or one of the checkpoint there at the truth's conditions.

    A checkpoint is sampled into the storage, ten times as many `events` as are compared. A truth of
    several conditions is to be cut down to one of each by `Dataset.at`.

    Raises:
        UserError: see `sample`; a condition varies from event to event.
    """
    if not is_checkpoint(uri):
        return uri
    from mleg_ray.cluster.sample import default_target, sample

    varying = truth.schema.varying(truth.manifest.conditions)
    if varying:
        raise ConfigError(
            f"{truth.uri}: {', '.join(varying)} varies from event to event; name one value of each "
            f"with --condition {varying[0]}=VALUE, or judge a sample that has them, of "
            "`mleg sample CHECKPOINT`, or `mleg fold CHECKPOINT` of a detector"
        )
    conditions = {name: constant(value) for name, value in truth.manifest.conditions.items()}
    made = SAMPLED_TIMES * min(truth.rows(split), events)
    target = default_target(storage, uri, made, seed, conditions)
    return sample(uri, made, target, seed=seed, conditions=conditions).uri


def compare(
    uris: Sequence[str],
    truth: Dataset | None,
    split: str,
    out: str,
    storage: str,
    *,
    seed: int,
    events: int = MAX_EVENTS,
) -> dict[str, Scorecard]:
    """Put samples side by side; write the comparison, and the report of each, into `out`.

    Each of `uris` is a sample, a checkpoint, or the folder of a report, which is taken as it is.

    Raises:
        ConfigError: no truth for what has no report yet, or reports of different truths.
        UserError: see `evaluate` and `sampled`.
    """
    names = short_names(uris)
    known = {
        uri: read_config(Scorecard, place) for uri in uris if exists(place := join(uri, SCORECARD))
    }
    unknown = [uri for uri in uris if uri not in known]
    if unknown and truth is None:
        raise ConfigError(
            f"{unknown[0]}: has no {SCORECARD}; name the truth with --truth NAME, a dataset of "
            "`mleg catalog list`"
        )
    if len(known) > 1:
        require_same_truth({names[uri]: card for uri, card in known.items()})
    for uri in unknown:
        if not is_checkpoint(uri):
            assert truth is not None
            # What is no sample of this truth is refused before others are judged.
            matched(truth, Dataset.open(uri))
    results = (side_by_side.PAGE, side_by_side.CSV, side_by_side.LATEX)
    folder = SealedFolder(absolute(out), ComparisonPlan(of={"samples": names}, results=results))
    cards = {}
    with folder.work():
        for uri in uris:
            if uri in known:
                cards[names[uri]] = known[uri]
                continue
            assert truth is not None
            say(f"\n{names[uri]}", style="bold")
            one = sampled(uri, truth, split, storage, seed=seed, events=events)
            place = join(out, names[uri])
            cards[names[uri]] = evaluate(one, truth, split, place, seed=seed, events=events)
        renew(folder)
        write_side_by_side(cards, folder.uri)
    table = Table("", *cards, box=None)
    for row in summary_lines(cards):
        table.add_row(*row)
    console.print(table)
    return cards


def report_folder(storage: str, uris: Sequence[str], truth: Dataset | None, split: str) -> str:
    """Return where a report goes by default: named after the truth and what it judges."""
    judge = (f"{truth.manifest.name}-{split}",) if truth else ()
    return join(storage, "reports", *judge, "-vs-".join(short_names(uris).values()))


def is_checkpoint(uri: str) -> bool:
    """Tell whether a folder is a checkpoint's."""
    return exists(join(uri, CARD))


def dataset_name(uri: str) -> str:
    """Return the name of the dataset that a sample imitates, or a checkpoint was trained on.

    It is that of the whole dataset, if some of its events were selected.
    """
    if is_checkpoint(uri):
        return read_config(Card, join(uri, CARD)).dataset.whole
    return Dataset.open(uri).manifest.whole


def short_names(uris: Sequence[str]) -> dict[str, str]:
    """Return a name of each folder: its last parts, as many as tell it from the others."""
    paths = {uri: run_folder(uri).parts[1:] for uri in uris}
    if len(set(paths.values())) < len(uris):
        raise ConfigError(f"the same sample is named twice: {', '.join(uris)}; name each once")
    if len(uris) > 1:
        while len({path[-1] for path in paths.values()}) == 1:
            paths = {uri: path[:-1] for uri, path in paths.items()}
    depth = 1
    while len({path[-depth:] for path in paths.values()}) < len(uris):
        depth += 1
    return {uri: "-".join(path[-depth:]) for uri, path in paths.items()}


def _taught(generated: Dataset) -> object:
    """Return the digest of the dataset that the sample's checkpoint was trained on, if known."""
    keys = ("checkpoint", "card", "dataset", "dataset_digest")
    return recorded(generated.manifest.provenance, *keys)


def _trained(generated: Dataset) -> Card | None:
    """Return the card of the sample's checkpoint if that is still where it was."""
    uri = recorded(generated.manifest.provenance, "checkpoint", "uri")
    if not isinstance(uri, str) or not exists(join(uri, CARD)):
        return None
    return read_config(Card, join(uri, CARD))
