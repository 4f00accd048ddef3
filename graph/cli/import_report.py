"""The report of an import: a line on stderr for each problem, a summary, and the exit code."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Final

import click

from recordings.use_cases.import_recording import Imported

BAD: Final = "bad"
DESIGN: Final = "design"
DELETED: Final = "deleted"
MAX_LINE_NUMBERS: Final = 1_000
"""Maximum line numbers of one kind in the summary. stderr has all of them."""
_NAMED: Final = (Imported.UNPLAYABLE, Imported.MISSING, Imported.LATER, BAD)
_OUTCOMES: Final = (*(outcome.value for outcome in Imported), DESIGN, DELETED, BAD)
EXIT_BAD, EXIT_MISSING, EXIT_LATER = 1, 3, 4


class ImportReport:
    """Counts the documents of an import by outcome."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lines: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, line: int, outcome: str, detail: str | None = None, recording_id: str | None = None) -> None:
        """Count a document. An outcome that needs the operator's attention is also printed."""
        self._counts[outcome] += 1
        if outcome in _NAMED:
            self._lines[outcome].append(line)
        if outcome == BAD:
            about = f"{recording_id}: " if recording_id is not None else ""
            click.echo(f"line {line}: {about}{detail}", err=True)
        elif outcome in _NAMED:
            click.echo(f"line {line}: {outcome}: {recording_id}: {detail or 'no reason is known'}", err=True)
        elif detail is not None:
            click.echo(f"line {line}: stored, but damaged: {recording_id}: {detail}", err=True)

    def note(self, line: int, text: str) -> None:
        """Print something that is not an error."""
        click.echo(f"line {line}: note: {text}", err=True)

    def summary(self) -> Mapping[str, Any]:
        """Return the number of documents by outcome, and the line numbers of those with a problem."""
        lines = {outcome: sorted(numbers)[:MAX_LINE_NUMBERS] for outcome, numbers in sorted(self._lines.items())}
        return {
            "documents": self._counts.total(),
            **{outcome: self._counts[outcome] for outcome in _OUTCOMES},
            "line_numbers": lines,
        }


def exit_code_of(summary: Mapping[str, Any]) -> int:
    """Return the exit code. The first of these applies: a document is bad or unplayable, missing, or stored later."""
    if summary[BAD] or summary[Imported.UNPLAYABLE]:
        return EXIT_BAD
    if summary[Imported.MISSING]:
        return EXIT_MISSING
    return EXIT_LATER if summary[Imported.LATER] else 0
