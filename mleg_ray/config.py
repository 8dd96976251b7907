"""The configuration engine: TOML files become frozen, strictly checked objects.

A component keeps its own small `Config` subclass beside it; families of components (models,
objectives, feature maps, sources) are chosen by their `kind` through a `Registry`.
"""

import contextlib
import copy
import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from mleg_ray.errors import ConfigError
from mleg_ray.storage import read_json

VERSION = "format_version"  # of a file that other versions write otherwise


class Config(BaseModel):
    """A frozen set of typed values; unknown keys, wrong types and NaN are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def digest(self, *fields: str) -> str:
        """Return the SHA-256 (hex) of the values in canonical JSON, or of some `fields` alone.

        Absent values do not count.
        """
        values = self.model_dump(mode="json", exclude_none=True, include=set(fields) or None)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @property
    def told(self) -> Mapping[str, Any] | str:
        """What a user is told of it: its values by their keys, or a short name that says it all."""
        return dict(self)

    def to_toml(self) -> str:
        """Return the values as TOML; `parse` of it gives an equal object."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


AnyConfig = TypeVar("AnyConfig", bound=Config)


class Registry(dict[str, type[AnyConfig]], Generic[AnyConfig]):
    """`kind` -> config class of one family of components; users may add their own.

    A table without a kind is of the `default` one, if there is any.
    """

    def __init__(self, family: str, default: str | None = None) -> None:
        super().__init__()
        self.family = family
        self._default = default

    def register(self, cls: type[AnyConfig]) -> type[AnyConfig]:
        """Class decorator: enter a config class under the default of its `kind` field.

        Raises:
            ValueError: another class has this kind already.
        """
        kind = cls.model_fields["kind"].default
        if kind in self:
            raise ValueError(f"{self.family} kind {kind!r} is {self[kind].__qualname__}'s already")
        self[kind] = cls
        return cls

    def parse(self, value: object) -> AnyConfig:
        """Turn a table with a `kind` into that kind's config; a config passes unchanged."""
        if isinstance(value, Config):
            return value  # type: ignore[return-value]  # pydantic checks the family right after
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a table with a 'kind', one of: {', '.join(sorted(self))}")
        kind = value.get("kind", self._default)
        if not isinstance(kind, str) or kind not in self:
            known = ", ".join(sorted(self))
            hint = suggest(str(kind), list(self))
            raise ValueError(f"unknown {self.family} kind {kind!r}{hint}; known kinds: {known}")
        return self[kind].model_validate(value)

    def chosen(self) -> BeforeValidator:
        """Return the pydantic marker for a field that holds one of the registered kinds."""
        return BeforeValidator(self.parse)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; `ConfigError` names the file and the line of a syntax error."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return parse_toml(content, str(path))


def read_extended(
    name: str, folder: str, inherits: str, tables: tuple[str, ...] = ()
) -> tuple[dict[str, Any], str]:
    """Read `NAME.toml` of `folder`, or a path, with what it extends; return that and the path.

    `folder` is `data_catalog` or `tuning`. A file may say `extends = "OTHER"`. Then it `inherits`
    one table key by key, see `inherited`; of the other file's other keys and tables those hold that
    this one has not. With `tables`, a file has these alone, and inherits nothing but the one.

    Raises:
        ConfigError: a file is absent, not valid TOML or extends itself, or has something else than
            its `tables`.
    """
    path = find_named(name, folder)
    return _extended(path, folder, inherits, tables, ()), str(path)


def _extended(
    path: Path, folder: str, inherits: str, tables: tuple[str, ...], extending: tuple[Path, ...]
) -> dict[str, Any]:
    if path.resolve() in extending:
        raise ConfigError(f"{path}: extends itself: {' -> '.join(p.stem for p in extending)}")
    values = read_toml(path)
    base = values.pop("extends", None)
    if tables:
        _require_tables(values, tables, path)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{path}: extends: name one other file (got {base!r})")
    # A path is seen from the file that names it, a name from anywhere.
    place = path.parent / base if base.endswith(".toml") else find_named(base, folder)
    other = _extended(place, folder, inherits, tables, (*extending, path.resolve()))
    own, its = _table(values, inherits, path), _table(other, inherits, place)
    with inside(f"{path}: {inherits}"):
        table = inherited(own, its)
    return ({} if tables else other) | values | {inherits: table}


def inherited(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with all keys of another one that it has not, and so for the tables in both.

    A table of another `kind` inherits nothing, as the keys of one kind mean nothing to another; nor
    does one that says `extends = false`. Lists are never merged.

    >>> base = {"critic": {"widths": [512], "dropout": 0.1}, "loss": {"kind": "a", "weight": 1}}
    >>> inherited({"critic": {"widths": [64]}, "loss": {"kind": "b"}}, base)
    {'critic': {'widths': [64], 'dropout': 0.1}, 'loss': {'kind': 'b'}}

    Raises:
        ConfigError: the `extends` of a table is something else.
    """
    extends = own.get("extends", True)
    if not isinstance(extends, bool):
        raise ConfigError(
            "extends: a table inherits of the file that this one extends, or, with "
            f"`extends = false`, nothing (got {extends!r})"
        )
    if not extends or own.get("kind", other.get("kind")) != other.get("kind"):
        other = {}
    result = dict(other)
    for key, value in own.items():
        if isinstance(value, Mapping):
            below = other.get(key)
            with inside(key):
                result[key] = inherited(value, below if isinstance(below, Mapping) else {})
        elif key != "extends":
            result[key] = value
    return result


def _require_tables(values: Mapping[str, Any], tables: tuple[str, ...], path: Path) -> None:
    for name in values:
        if name not in tables:
            raise ConfigError(
                f"{path}: unknown table or key '{name}'{suggest(name, list(tables))}; it may have "
                f"the tables {', '.join(tables)}, and the key extends"
            )
        _table(values, name, path)


def _table(values: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{path}: {name}: a table is needed (got {table!r})")
    return table


def parse_toml(content: bytes, origin: str) -> dict[str, Any]:
    """Read TOML from bytes; `ConfigError` names the origin and the line of a syntax error."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors write a byte-order mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{origin}: not valid TOML: {error}") from None


def parse(cls: type[AnyConfig], values: Mapping[str, Any], origin: str) -> AnyConfig:
    """Check `values` against `cls`.

    Raises:
        ConfigError: one line for each fault, naming `origin` and the dotted key.
    """
    try:
        result = cls.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{origin}: {line}" for line in _faults(error, cls))) from None
    coerced = list(_coerced(values, result.model_dump()))
    if coerced:
        raise ConfigError("\n".join(f"{origin}: {line}" for line in coerced))
    return result


def read_config(cls: type[AnyConfig], place: str) -> AnyConfig:
    """Read a JSON file of any file system as a `cls`; raises as `read_json` and `parse` do."""
    return parse(cls, read_json(place), place)


@contextlib.contextmanager
def inside(table: str) -> Iterator[None]:
    """Make the key with which the message of a `ConfigError` begins one of `table`."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{table}.{error}") from None


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Return `values` with `a.b=v` assignments applied; `v` is read as a TOML value or a string.

    They are applied in order: of two of the same key the last holds.

    >>> override({"training": {"steps": 100}}, ["training.steps=2_000", "model.kind=flow"])
    {'training': {'steps': 2000}, 'model': {'kind': 'flow'}}

    Raises:
        ConfigError: an assignment has no key or `=`, or its key cannot be placed.
    """
    result: dict[str, Any] = copy.deepcopy(dict(values))
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"--set {assignment!r}: write it as section.key=value")
        try:
            assign(result, key.strip(), _toml_value(text.strip()))
        except ConfigError as error:
            raise ConfigError(f"--set {assignment!r}: {error}") from None
    return result


def assign(table: dict[str, Any], key: str, value: object) -> None:
    """Set the dotted `key` in nested tables, made where there are none; a number is a list's index.

    A part that has dots itself stands in quotes, as in TOML: `source.columns."jet.pt".unit`.

    Raises:
        ConfigError: the key leads through a value, or beyond the end of a list.
    """
    *parents, last = _parts(key)
    place: Any = table
    for parent in parents:
        place = (
            place[_index(place, parent)]
            if isinstance(place, list)
            else (place.setdefault(parent, {}))
        )
        if not isinstance(place, (dict, list)):
            raise ConfigError(f"{parent!r} is a value, not a section")
    place[_index(place, last) if isinstance(place, list) else last] = value


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key, of which those in quotes may have dots."""
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([^."]+)', key)] or [key]


def look_up(table: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - whatever TOML holds
    """Return the value at the dotted `key`, None if there is none.

    >>> look_up({"columns": {"jet.pt": [{"unit": "MeV"}]}}, 'columns."jet.pt".0.unit')
    'MeV'
    """
    place: Any = table
    for part in _parts(key):
        if isinstance(place, list) and part.isdecimal() and int(part) < len(place):
            place = place[int(part)]
        else:
            place = place.get(part) if isinstance(place, Mapping) else None
    return place


def find_named(name: str, folder: str) -> Path:
    """Locate `NAME.toml`: a path, the folder in the working directory, or the installed one.

    `folder` is `data_catalog` or `tuning`. Raises `ConfigError` with the nearest known
    name, or all if none is near.
    """
    if name.endswith(".toml"):
        return Path(name)
    for place in named_folders(folder):
        if (place / f"{name}.toml").is_file():
            return place / f"{name}.toml"
    known = known_names(folder)
    hint = suggest(name, known) or f"; known: {', '.join(known)}"
    raise ConfigError(f"no {name}.toml in {folder}/{hint}")


def known_names(folder: str) -> list[str]:
    """Return the names that `find_named` finds in a folder, sorted."""
    return sorted({path.stem for place in named_folders(folder) for path in place.glob("*.toml")})


def named_folders(folder: str) -> list[Path]:
    """Return the existing folders of that name, the user's own first."""
    package = Path(__file__).parent
    candidates = [Path.cwd() / folder, package.parent / folder, package / folder]
    return [place for place in dict.fromkeys(candidates) if place.is_dir()]


def _index(values: list[Any], part: str) -> int:
    if not part.isdecimal() or int(part) >= len(values):
        raise ConfigError(f"{part!r}: a list's index is needed, 0 to {len(values) - 1}")
    return int(part)


def _toml_value(text: str) -> Any:  # noqa: ANN401 - whatever TOML holds
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _faults(error: ValidationError, cls: type[Config], parents: tuple[Any, ...] = ()) -> list[str]:
    lines = []
    faults = error.errors()
    # What another version wrote is at fault in many ways, all of which follow from the first.
    faults = [fault for fault in faults if fault["loc"][-1:] == (VERSION,)] or faults
    for fault in faults:
        if fault["type"] == "too_short" and any(_below(other, fault) for other in faults):
            continue  # pydantic counts faulty items as none
        location = (*parents, *fault["loc"])
        cause = fault.get("ctx", {}).get("error")
        if isinstance(cause, ValidationError):  # a registered kind's own faults, one level down
            lines += _faults(cause, cls, location)
        else:
            lines.append(_describe(fault["type"], fault["msg"], fault.get("input"), location, cls))
    return lines


def _below(fault: ErrorDetails, above: ErrorDetails) -> bool:
    """Tell whether a fault lies in what another is about."""
    length = len(above["loc"])
    return len(fault["loc"]) > length and fault["loc"][:length] == above["loc"]


def _describe(
    kind: str, message: str, given: object, location: tuple[Any, ...], cls: type[Config]
) -> str:
    key = ".".join(map(str, location))
    if kind == "extra_forbidden":
        return f"unknown key '{key}'{suggest(str(location[-1]), _known_keys(cls))}"
    if location[-1:] == (VERSION,):
        return (
            f"{key} is {given!r}; this version of mleg_ray reads {message.split()[-1]} only: make "
            "it again, or use the version that made it"
        )
    if kind == "missing":
        return f"missing key '{key}'"
    value = "" if isinstance(given, (Mapping, Config)) else f" (got {given!r})"
    return f"{key}: ".removeprefix(": ") + message.removeprefix("Value error, ") + value


def _coerced(given: object, parsed: object, key: str = "") -> Iterator[str]:
    """Yield what pydantic read as a number though it is none: a truth value, or text."""
    if isinstance(given, Mapping) and isinstance(parsed, Mapping):
        for name in given:
            yield from _coerced(given[name], parsed.get(name), f"{key}.{name}" if key else name)
    elif isinstance(given, (list, tuple)) and isinstance(parsed, (list, tuple)):
        for index, (a, b) in enumerate(zip(given, parsed, strict=False)):
            yield from _coerced(a, b, f"{key}.{index}")
    elif isinstance(given, (bool, str)) and type(parsed) in (int, float):
        yield f"{key}: a number is needed (got {given!r})"


def _known_keys(cls: type[BaseModel]) -> list[str]:
    """Return the keys of a table and of all tables that it may hold, themselves included."""
    names: dict[str, None] = {}
    seen, to_see = set(), [cls]
    while to_see:
        table = to_see.pop()
        if table in seen:
            continue
        seen.add(table)
        names |= dict.fromkeys(table.model_fields)
        to_see += table.__subclasses__()  # the kinds of a family
        for field in table.model_fields.values():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                to_see += [field.annotation]
    return list(names)


def suggest(name: str, known: list[str]) -> str:
    """Return a hint at the nearest of the known names, empty if none is near.

    >>> suggest("fatgan-quik", ["flow-dis", "fatgan-quick"])
    " (did you mean 'fatgan-quick'?)"
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean '{close[0]}'?)" if close and close[0] != name else ""
