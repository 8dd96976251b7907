"""The home page of a storage root: what lies there, one line a folder, with links to all pages.

What a line says is read once, from the file that is written last into its folder, and kept in
`index.json` beside the page; a refresh lists folders, and reads what is new. So a root of many
thousand folders costs little, also in an object store.
"""

import itertools
import math
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import ClassVar, Literal, Self

from mleg_ray import __version__
from mleg_ray.catalog.convert import CONVERTED
from mleg_ray.catalog.dataset import PREPARED, SAMPLED, Dataset
from mleg_ray.config import Config, read_config
from mleg_ray.errors import UserError
from mleg_ray.folder import PLAN, READERS
from mleg_ray.report.folder import FIGURES, ResultsPlan
from mleg_ray.report.pages import templates
from mleg_ray.storage import exists, join, listed, write_bytes, write_json

PAGE, INDEX = "index.html", "index.json"
MOST_POINTS = 60  # of a curve as small as these

Listing = Mapping[str, datetime | None]  # as `mleg_ray.storage.listed` returns it
Points = tuple[tuple[float, float], ...]


class Line(Config):
    """What the page says of one folder; `place` is seen from the root.

    `PROOF` is the file of the folder that is written last, and `written` when that was.
    """

    FOLDER: ClassVar[str]
    PROOF: ClassVar[str]

    place: str
    written: datetime

    @property
    def name(self) -> str:
        """What it is called on the page."""
        return self.place.removeprefix(f"{self.FOLDER}/")

    @classmethod
    def _read(cls, root: str, place: str, written: datetime) -> Self | None:
        """Read the folder, None if it is not whole; `UserError` if it is damaged."""
        raise NotImplementedError


class DatasetLine(Line):
    """A prepared dataset: events by split, and how many numbers an event has."""

    FOLDER = "datasets"
    PROOF = PREPARED

    description: str
    events: dict[str, int]
    fields: int

    @classmethod
    def _read(cls, root: str, place: str, written: datetime) -> Self:
        dataset = Dataset.open(join(root, place))
        splits = dict.fromkeys(shard.split for shard in dataset.manifest.shards)
        return cls(
            place=place,
            written=written,
            description=str(dataset.manifest.provenance.get("description", "")),
            events={split: dataset.rows(split) for split in splits},
            fields=len(dataset.manifest.fields),
        )


class RunLine(Line):
    """A run: its best snapshot, and `ks_sum` by step."""

    FOLDER = "runs"
    PROOF = "checkpoint/card.json"

    dataset: str
    step: int
    ks_sum: float | None
    seconds: float
    curve: Points

    @classmethod
    def _read(cls, root: str, place: str, written: datetime) -> Self:
        from mleg_ray.checkpoint import Card

        card = read_config(Card, join(root, place, cls.PROOF))
        return cls(
            place=place,
            written=written,
            dataset=card.dataset.name,
            step=card.step,
            ks_sum=card.metrics.get("ks_sum"),
            seconds=card.seconds,
            curve=thinned([(e["step"], e["ks_sum"]) for e in card.history if "ks_sum" in e]),
        )


class StudyLine(Line):
    """A study by its report: its trials, the best of them, and the best so far by trial."""

    FOLDER = "studies"
    PROOF = "report/study.json"

    dataset: str
    trials: int
    complete: int
    quality: str
    best: float
    curve: Points

    @property
    def page(self) -> str:
        """The study's report."""
        return join(self.place, "report", "study.html")

    @classmethod
    def _read(cls, root: str, place: str, written: datetime) -> Self:
        from mleg_ray.report.study import StudyDocument

        summary = read_config(StudyDocument, join(root, place, cls.PROOF))
        complete = [trial for trial in summary.trials if trial.state == "complete"]
        qualities = [trial.quality for trial in complete if trial.quality is not None]
        best = enumerate(itertools.accumulate(qualities, min))
        return cls(
            place=place,
            written=written,
            dataset=summary.plan.run.dataset,
            trials=len(summary.trials),
            complete=len(complete),
            quality=summary.plan.study.quality,
            best=summary.ranked[0].median,
            curve=thinned(list(best)),
        )


class SampleLine(Line):
    """A generated dataset; `dataset_digest` is what reports know it by."""

    FOLDER = "samples"
    PROOF = SAMPLED

    imitates: str
    checkpoint: str
    events: int
    dataset_digest: str

    @classmethod
    def _read(cls, root: str, place: str, written: datetime) -> Self:
        from mleg_ray.checkpoint import run_label
        from mleg_ray.evaluation.samples.provenance import recorded

        dataset = Dataset.open(join(root, place))
        uri = recorded(dataset.manifest.provenance, "checkpoint", "uri")
        return cls(
            place=place,
            written=written,
            imitates=dataset.manifest.name,
            checkpoint=run_label(uri) if isinstance(uri, str) else "",
            events=dataset.rows(),
            dataset_digest=dataset.digest,
        )


class Mark(Config):
    """A figure that stands at the head of a report."""

    title: str
    value: float
    uncertainty: float
    verdict: Literal["at the floor", "visible", "large"]


class ReportLine(Line):
    """A report, a comparison or an analysis; a report judges the sample of a `dataset_digest`."""

    FOLDER = "reports"
    PROOF = PLAN

    of: str
    page: str
    dataset_digest: str = ""
    truth: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def at_the_floor(self) -> int:
        """How many of the figures at its head are at the floor."""
        return sum(mark.verdict == "at the floor" for mark in self.marks)

    @classmethod
    def _read(cls, root: str, place: str, written: datetime) -> Self | None:
        plan = read_config(ResultsPlan, join(root, place, cls.PROOF))
        if not {*plan.results} <= {*listed(join(root, place))}:
            return None
        shown = min(plan.results, key=lambda name: (not name.endswith(".html"), "." not in name))
        line = cls(place=place, written=written, of=plan.kind, page=join(place, shown))
        return line._judged(root) if plan.kind == "report" else line

    def _judged(self, root: str) -> Self:
        from mleg_ray.evaluation.scorecards import Scorecard
        from mleg_ray.evaluation.statistics.estimate import Estimate
        from mleg_ray.report.html import SCORECARD

        card = read_config(Scorecard, join(root, self.place, SCORECARD))
        marks = [
            Mark(
                title=card.metrics[metric].title,
                value=figure.value,
                uncertainty=figure.uncertainty,
                verdict=figure.verdict,
            )
            for metric, _, figure in card.highlights()
            if isinstance(figure, Estimate)
        ]
        truth = card.truth
        update = {
            "dataset_digest": card.generated.dataset_digest or "",
            "truth": f"{truth.name}:{truth.split}" if truth.split else truth.name,
            "marks": tuple(marks),
        }
        return self.model_copy(update=update)


KINDS: tuple[type[Line], ...] = (DatasetLine, RunLine, StudyLine, SampleLine, ReportLine)


class Index(Config):
    """All that the page says.

    `unfinished` are folders whose command was interrupted, or is still at work; `faults` says why
    others cannot be read.
    """

    format_version: Literal[1] = 1
    version: str = __version__
    datasets: tuple[DatasetLine, ...] = ()
    runs: tuple[RunLine, ...] = ()
    studies: tuple[StudyLine, ...] = ()
    samples: tuple[SampleLine, ...] = ()
    reports: tuple[ReportLine, ...] = ()
    unfinished: tuple[str, ...] = ()
    faults: dict[str, str] = {}

    def lines(self, kind: type[Line]) -> tuple[Line, ...]:
        """Return the lines of one kind."""
        lines: tuple[Line, ...] = getattr(self, kind.FOLDER)
        return lines


def write_home(root: str) -> str:
    """Write the page of a storage root, unless it is up to date, and return its place.

    It is looked at what was written until nothing more has come: of two commands that end at once,
    the one that writes last has seen what both made.

    Raises:
        ResourceError: nothing can be read or written there.
    """
    page = join(root, PAGE)
    told = _told(root) if exists(page) else None
    while (found := look(root, told or Index())) != told:
        write_bytes(page, render(found, root).encode())
        write_json(join(root, INDEX), found.model_dump(mode="json"))
        told = found
    return page


def look(root: str, told: Index) -> Index:
    """Return what lies in a storage root; lines that were `told`, and still hold, are kept.

    What else lies there is passed over.
    """
    lines: dict[str, list[Line]] = {kind.FOLDER: [] for kind in KINDS}
    unfinished, faults = [], {}
    known = {line.place: line for kind in KINDS for line in told.lines(kind)}
    for kind, place, written in _whole_or_not(root):
        if written is None:
            unfinished.append(place)
        elif (line := known.get(place)) and line.written == written:
            lines[kind.FOLDER].append(line)
        else:
            try:
                read = kind._read(root, place, written)
            except (UserError, LookupError) as error:  # also of what others have written there
                faults[place] = str(error)
                continue
            if read is None:
                unfinished.append(place)
            else:
                lines[kind.FOLDER].append(read)
    ordered = {
        folder: tuple(sorted(all_, key=lambda line: (line.written, line.place), reverse=True))
        for folder, all_ in lines.items()
    }
    return Index(**ordered, unfinished=tuple(unfinished), faults=faults)  # type: ignore[arg-type]


def render(index: Index, root: str) -> str:
    """Return the page; every text is escaped."""
    judged: dict[str, list[ReportLine]] = {}
    for report in index.reports:
        judged.setdefault(report.dataset_digest, []).append(report)
    page = templates().get_template("home.html.j2")
    return page.render(
        root=posixpath.basename(root.rstrip("/")),
        index=index,
        reports_of=lambda sample: judged.get(sample.dataset_digest, []),
        path=path,
    )


def thinned(points: Sequence[tuple[float, float]]) -> Points:
    """Return at most `MOST_POINTS` of a curve, evenly, the last one among them."""
    every = -(-len(points) // MOST_POINTS) or 1
    return tuple(points[::-1][::every][::-1])


def path(points: Points, width: float = 100, height: float = 24) -> str:
    """Return a curve as the points of an SVG line in a box, its values on a logarithmic scale."""
    x, y = ([point[k] for point in points] for k in (0, 1))
    logs = [math.log(max(value, 1e-12)) for value in y]
    places = zip(_within(x, width), _within(logs, height), strict=True)
    return " ".join(f"{across:.1f},{height - up:.1f}" for across, up in places)


def _within(values: Sequence[float], size: float) -> list[float]:
    low, high = min(values), max(values)
    return [size * (value - low) / (high - low) if high > low else size / 2 for value in values]


def _told(root: str) -> Index | None:
    """Return what the page says by now; None if that is not known."""
    try:
        return read_config(Index, join(root, INDEX))
    except UserError:
        return None


def _whole_or_not(root: str) -> list[tuple[type[Line], str, datetime | None]]:
    """Return the folders that commands made, and when each was whole, None if it is not.

    Many folders are listed at once, for object stores answer late.
    """
    seen: dict[str, Listing] = {}
    with ThreadPoolExecutor(READERS) as readers:

        def listings(places: Iterable[str]) -> dict[str, Listing]:
            asked = list(dict.fromkeys(places))
            new = [place for place in asked if place not in seen]
            found = readers.map(lambda place: listed(join(root, place)), new)
            seen.update(zip(new, found, strict=True))
            return {place: seen[place] for place in asked}

        tops = listings(kind.FOLDER for kind in KINDS)
        places = [
            (kind, join(kind.FOLDER, name))
            for kind in KINDS
            for name in _folders(tops[kind.FOLDER])
        ]
        # A report lies below the truth that judges, one of a comparison's below the comparison.
        level = [place for kind, place in places if kind is ReportLine]
        for _ in range(2):
            there = listings(place for place in level if posixpath.basename(place) != FIGURES)
            level = [join(place, name) for place in there for name in _folders(there[place])]
            places += [(ReportLine, place) for place in level]
        proofs = [posixpath.split(join(place, kind.PROOF)) for kind, place in places]
        proven = listings(folder for folder, _ in proofs)
        written = [proven[folder].get(file) for folder, file in proofs]
        unproven = [place for (_, place), time in zip(places, written, strict=True) if not time]
        begun = {
            place
            for place, there in listings(unproven).items()
            if PLAN in there and CONVERTED not in there  # beside what it was converted from
        }
    return [
        (kind, place, time)
        for (kind, place), time in zip(places, written, strict=True)
        if time or place in begun
    ]


def _folders(there: Listing) -> list[str]:
    return [name for name, time in there.items() if time is None]
