"""A progress bar on stderr, for whoever watches a terminal. Results go to stdout, and are never mixed with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int | None], None]
"""Told what is looked at, how many were, and of how many if that is known."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """What tells the bar; it does nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # What is printed meanwhile goes where it is to go, and not to the bar's own stream.
    with Bar(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as bar:
        tasks = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield tell
