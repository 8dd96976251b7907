"""What a person sees while work goes on: stages, progress bars, and where results lie."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Standard error: what a command prints for programs to read goes to standard output.
console = Console(stderr=True, highlight=False)


class Bar:
    """One running progress bar; `note` is a short live text behind it (a loss, a rate)."""

    def __init__(self, progress: Progress, description: str, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="")

    def update(self, completed: float, note: str = "") -> None:
        """Show that `completed` of the total is done."""
        self._progress.update(self._task, completed=completed, note=note)


@contextlib.contextmanager
def progress_bar(description: str, total: float) -> Iterator[Bar]:
    """Show a progress bar for the length of the block; on a terminal it is redrawn in place."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Bar(progress, description, total)


def say(message: str, style: str = "") -> None:
    """Print one line for the person at the terminal, as it is: brackets are no markup."""
    # Without soft wrapping a path would be broken over lines, and could not be copied.
    console.print(message, style=style, markup=False, soft_wrap=True)
