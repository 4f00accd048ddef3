"""A progress bar on stderr, shown only on a terminal. Results go to stdout."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int | None], None]
"""Called with the kind of item, the number done, and the total if it is known."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield a function that updates the bar. It does nothing if stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _kind, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Without redirects, other output keeps its own stream.
    with Bar(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as bar:
        tasks = {}

        def update(kind: str, done: int, total: int | None) -> None:
            if kind not in tasks:
                tasks[kind] = bar.add_task(kind, total=total)
            bar.update(tasks[kind], completed=done, total=total)

        yield update
