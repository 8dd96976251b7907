"""What was seen in a table of events, and what follows from it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was seen of some columns, with its numbers, and what was decided.

    `change` is the option, or the line of the files that are written, which decides otherwise.
    """

    columns: tuple[str, ...]
    seen: str
    decided: str
    change: str

    def __str__(self) -> str:
        """Return all of it on one line."""
        return f"{', '.join(self.columns)}: {self.seen}; {self.decided} [{self.change}]"
