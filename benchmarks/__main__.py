"""The rows of the benchmarks: `python -m benchmarks ROW`.

A row is a module in one of the packages `GROUPS`. Its docstring is the row's help, of which the
list of rows shows the first line; its `measure(options, results)` measures, and the dataclass of
its `options` is what the command line takes. A row's module, with all that it imports, is imported
when that row is asked for.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

import typer
from typer.core import TyperGroup

from mleg_ray.console import say
from mleg_ray.errors import UserError

GROUPS = {
    "speed": "What work takes",
    "studies": "Studies and ensembles",
    "physics": "Generated events beside true ones",
    "paper": "The systems of a dissertation",
}
PLAIN: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False}
ROWS = {
    file.stem.replace("_", "-"): file
    for group in GROUPS
    for file in sorted(Path(__file__).with_name(group).glob("[!_]*.py"))
}


def command(row: str) -> Any:  # noqa: ANN401 - Typer has its own copy of Click, which has no name
    """Import a row and return its command, whose options are the fields of a dataclass."""
    from benchmarks.common.results import Results

    file = ROWS[row]
    module = importlib.import_module(f"benchmarks.{file.parent.name}.{file.stem}")
    asked = get_type_hints(module.measure)["options"]

    def measure(**given: object) -> None:
        options = asked(**given)
        results = Results(row, options)
        with options.session():
            module.measure(options, results)
        results.finish()

    measure.__signature__ = inspect.signature(asked)  # type: ignore[attr-defined]
    alone = typer.Typer(rich_markup_mode="markdown", **PLAIN)
    alone.command(row, help=module.__doc__)(measure)
    return typer.main.get_command(alone)


class Rows(TyperGroup):
    """Knows each row by name and line, until it is asked for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - see `command`
        """Return the row that the arguments begin with, its command and the other arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, command(str(name)), rest


app = typer.Typer(cls=Rows, no_args_is_help=True, **PLAIN)


@app.callback()
def rows() -> None:
    """Measure a row: print its table, and write it as JSON, with pictures, into a folder."""


for _row, _file in ROWS.items():
    _line = str(ast.get_docstring(ast.parse(_file.read_text()))).splitlines()[0]
    app.command(_row, help=_line, rich_help_panel=GROUPS[_file.parent.name])(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: status 0, 2 for a user's error (one clear message), 1 for a defect."""
    try:
        app(args=arguments, prog_name="python -m benchmarks")
    except UserError as error:
        say(f"error: {error}", style="red")
        sys.exit(2)


if __name__ == "__main__":
    main()
