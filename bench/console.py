"""The console with many recordings, relative to the console with 100 of them, in one real Chromium.

    python -m bench.console --rows 100000

Each row of the output is the median time from an action to its result in the page.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from adapters.identity import InstallationKey, Tokens
from bench.tables import TEMPLATE, Sqlite
from graph.server.system_clock import SystemClock
from recordings.model.account import GRANTABLE, Account, Principal
from tests.browser.chromium import Chromium, Page, find_chromium
from tests.browser.console_page import ROWS, go, opened
from tests.e2e.server import Server

FEW: Final = 100
REPEAT: Final = 7
PAGE: Final = 50
IDLE: Final = "!document.querySelector('[aria-busy=true]')"
ACTIONS: Final = {
    "first page": ("#/recordings", f"{ROWS} === {PAGE}"),
    "longest first": ("#/recordings?sort=DURATION", f"{ROWS} === {PAGE}"),
    "beginning of a number": (
        "#/recordings?in=number&q=%2B4930000",
        "!!document.querySelector('main table, main .notice')",
    ),
    "one user, by duration": (f"#/recordings?in=user&q={1:032x}&sort=DURATION", f"{ROWS} >= 1"),
    "failures": ("#/recordings?state=problem", "document.body.innerText.includes('No recording matches')"),
}
"""The fragments of the actions, and the conditions for their results."""


async def fill(folder: Path, rows: int) -> None:
    table = Sqlite(folder)
    await table.store.open()
    try:
        await table.store.add_account(Account(TEMPLATE.account_id, "Bench", TEMPLATE.start))
        await table.fill(rows)
        # The rows were copied in SQL, without the marks of the figures.
        await table.store.mark_all()
    finally:
        await table.store.close()


@contextmanager
def console(browser: Chromium, folder: Path, rows: int) -> Iterator[Page]:
    """Serve a number of recordings, and open their list."""
    (folder / "data").mkdir(parents=True)
    asyncio.run(fill(folder / "data", rows))
    with Server(folder / "data") as server:
        key = InstallationKey.open(server.data / "secret.key")
        caller = Principal(TEMPLATE.account_id, frozenset(GRANTABLE), name="bench")
        token = Tokens(key.derive("jwt"), SystemClock()).issue(caller)
        page = opened(browser, f"{server.url}/console#token={token}", "Recordings")
        page.until(f"{ROWS} === {PAGE}")
        yield page
        page.close()


def timed(page: Page, fragment: str, condition: str) -> float:
    """Return the seconds until the page shows the list of a fragment, which it has to load."""
    go(page, "#/accounts", "Switch accounts")
    return changed(page, fragment, condition)


def changed(page: Page, fragment: str, condition: str) -> float:
    """Return the seconds from a change of the address to its result."""
    # A browser slows down pages in the background.
    page.call("Page.bringToFront")
    begin = time.perf_counter()
    page.evaluate(
        f"new Promise(done => {{ location.hash = '{fragment}'; const look = () => {IDLE} && {condition} ? done() : "
        "requestAnimationFrame(look); requestAnimationFrame(look); })"
    )
    return time.perf_counter() - begin


def paged(page: Page) -> float:
    """Return the seconds until the next page is shown."""
    timed(page, "#/recordings", f"{ROWS} === {PAGE}")
    fragment = page.evaluate(
        "[...document.querySelectorAll('nav a')].find(each => each.innerText === 'Next page').hash"
    )
    return changed(page, fragment, f"{ROWS} === {PAGE} && document.body.innerText.includes('First page')")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    program = find_chromium()
    if program is None:
        raise SystemExit("Chromium is not installed")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        browser = stack.enter_context(Chromium(program))
        few = stack.enter_context(console(browser, folder / "few", FEW))
        many = stack.enter_context(console(browser, folder / "many", rows))
        measures: dict[str, Callable[[Page], float]] = {
            name: lambda page, action=action: timed(page, *action)  # type: ignore[misc]
            for name, action in ACTIONS.items()
        }
        measures["next page"] = paged
        print(f"{'action':24}{FEW:>10,}{rows:>12,}   ratio")
        for name, measure in measures.items():
            # The sides take turns, so that the load of the machine is the same for both.
            times = [(measure(few), measure(many)) for _ in range(REPEAT)]
            small, large = (statistics.median(side) for side in zip(*times, strict=True))
            print(f"{name:24}{small * 1000:8.0f} ms{large * 1000:10.0f} ms{large / small:8.2f}")


if __name__ == "__main__":
    main()
