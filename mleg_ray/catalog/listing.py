"""The catalog as a person reads it."""

from collections.abc import Sequence
from typing import NamedTuple

import tomli_w
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mleg_ray.catalog.spec import FOLDER, DatasetSpec
from mleg_ray.config import known_names
from mleg_ray.definitions import Plane
from mleg_ray.errors import ConfigError
from mleg_ray.events import Field, Group


class CatalogEntry(NamedTuple):
    """One line of the catalog; `events` says how many there are, as far as the file can tell."""

    name: str
    events: str
    description: str


def list_entries() -> list[CatalogEntry]:
    """Return what the catalog holds, by name; the user's own folder comes before the installed.

    A file that cannot be read has its fault for a description.
    """
    return [_entry(name) for name in known_names(FOLDER)]


def _entry(name: str) -> CatalogEntry:
    try:
        spec = DatasetSpec.load(name)
    except ConfigError as error:
        return CatalogEntry(name, "unknown", f"error: {error}")
    events = spec.source.planned_events()
    return CatalogEntry(spec.name, f"{events:,}" if events else "in files", spec.description)


def entries_table() -> RenderableType:
    """Return the catalog as a table."""
    return _table(("dataset", "events", "description"), list_entries())


def describe(spec: DatasetSpec) -> RenderableType:
    """Return all that a specification says, ready to print."""
    source = spec.source.model_dump(mode="json", exclude_none=True)
    splits, groups = spec.splits.model_dump(), spec.groups.items()
    facts = [
        ("version", str(spec.version)),
        ("conditions", ", ".join(f"{key} = {value:g}" for key, value in spec.conditions.items())),
        ("splits", ", ".join(f"{split} {fraction:g}" for split, fraction in splits.items())),
        ("shards of", f"{spec.shard_events:,} events at most"),
        ("citation", spec.citation),
        ("licence", spec.licence),
    ]
    return Lines(
        Text(f"{spec.name}: {spec.description}\n", style="bold"),
        _table(("", ""), [fact for fact in facts if fact[1]]),
        Text(tomli_w.dumps({"source": source})),
        _table(
            ("field", "unit", "role", "stored as", "description"),
            [(f.name, f.unit, f.role, _stored(f), f.description) for f in spec.fields],
        ),
        _table(
            ("group", "in each event", "particle", "true values of"),
            [(name, _number(group), _particle(group), group.truth_of) for name, group in groups],
        ),
        _table(
            ("observable", "unit", "expression"),
            [(name, o.unit, o.expression) for name, o in spec.observables.items()],
        ),
        *(
            _table(
                (kind, "expression", "tolerance", "reason"),
                [(name, c.expression, f"{c.tolerance:g}", c.reason) for name, c in rules.items()],
            )
            for kind, rules in (("constraint", spec.constraints), ("selection", spec.selection))
        ),
        _table(
            ("plane", "ranges", "bins"),
            [
                (p.name, f"{p.x_range} x {p.y_range}", f"{p.bins} x {p.bins}{_scales(p)}")
                for p in spec.planes
            ],
        ),
    )


def _scales(plane: Plane) -> str:
    """Say which axes are logarithmic: ", log in x"."""
    axes = [axis for axis, log in zip("xy", plane.logs, strict=True) if log]
    return f", log in {' and '.join(axes)}" if axes else ""


def _stored(field: Field) -> str:
    """Say how a field is stored: "float32, 2 x 16 x 16, sparse"."""
    image = (" x ".join(map(str, field.shape)), field.storage) if field.shape else ()
    return ", ".join((field.dtype, *image))


def _number(group: Group) -> str:
    return f"up to {group.most}, by {group.ordered_by}" if group.most else "one"


def _particle(group: Group) -> str:
    pdg_id = () if group.pdg_id is None else (f"PDG {group.pdg_id}",)
    mass = () if group.mass is None else (f"{group.mass:g} GeV",)
    return ", ".join((*pdg_id, *mass))


def _table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> RenderableType:
    if not rows:
        return Lines()
    table = Table(box=None, show_header=any(headers), padding=(0, 2, 1, 0), title_justify="left")
    filled = [column for column in range(len(headers)) if any(row[column] for row in rows)]
    for column in filled:
        table.add_column(headers[column])
    for row in rows:
        table.add_row(*(Text(row[column]) for column in filled))  # brackets are no markup
    return table
