"""The console with 100,000 recordings: each page has 50 of them, and the server answers every list that it offers."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from bench.console import PAGE, console
from bench.tables import varied
from tests.browser.chromium import Chromium, Page
from tests.browser.console_page import ROWS, TITLE, choose, fill, go, press

COUNT: Final = 100_000
IDS: Final = "[...document.querySelectorAll('tbody a')].map(each => each.hash.split('/').pop().split('?')[0])"


@pytest.fixture(scope="module")
def many(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with console(chromium, tmp_path_factory.mktemp("many"), COUNT) as page:
        yield page


def ids(page: Page) -> list[str]:
    page.until(f"{ROWS} > 0 && !document.querySelector('[aria-busy=true]')")
    found: list[str] = list(dict.fromkeys(page.evaluate(IDS)))
    return found


def newest(**wanted: Any) -> list[dict[str, Any]]:
    """Return the varying fields of the recordings with some values, newest first."""
    found = [each for each in varied(COUNT) if all(each[name] == value for name, value in wanted.items())]
    return sorted(found, key=lambda each: (each["start"], each["id"]), reverse=True)


def test_a_page_has_fifty_rows_and_the_number_as_far_as_it_is_counted(many: Page) -> None:
    go(many, "#/recordings", "Recordings")
    # It is exact when the figures of all recordings have been made.
    many.until("/Recordings: (100,000|more than 10,000)/.test(document.body.innerText)")
    assert len(ids(many)) == PAGE


def test_pages_follow_one_another_and_the_browser_goes_back(many: Page) -> None:
    go(many, "#/recordings", "Recordings")
    pages = [ids(many)]
    for _ in range(4):
        address = many.evaluate("location.hash")
        press(many, "Next page")
        many.until(f"location.hash !== '{address}' && {IDS}[0] !== '{pages[-1][0]}'")
        pages.append(ids(many))
    assert {len(page) for page in pages} == {PAGE}
    assert len({each for page in pages for each in page}) == 5 * PAGE
    many.evaluate("history.back()")
    many.until(f"{IDS}[0] === '{pages[-2][0]}'")
    many.reload()
    many.until(f"{TITLE} === 'Recordings' && {IDS}[0] === '{pages[-2][0]}'")


def test_a_call_of_years_ago_is_found(many: Page) -> None:
    oldest = newest()[-1]
    go(many, "#/recordings", "Recordings")
    choose(many, "Search in", "call")
    many.until("location.hash.includes('in=call')")
    fill(many, "Search", oldest["call_id"])
    many.press_enter()
    many.until(f"{ROWS} === 1")
    many.click("tbody a")
    many.until(f"document.body.innerText.includes('{oldest['call_id']}')")


def test_a_user_has_pages_by_duration(many: Page) -> None:
    owner = f"{1:032x}"
    go(many, f"#/recordings?in=user&q={owner}&sort=DURATION", "Recordings")
    many.until(f"document.body.innerText.includes('Recordings: {len(newest(owner_id=owner)):,}')")
    assert len(ids(many)) == PAGE


def test_a_search_without_an_index_is_answered_or_says_how_to_narrow_it(many: Page) -> None:
    go(many, "#/recordings?state=problem", "Recordings")
    many.until("document.body.innerText.includes('No recording matches')")
    go(many, "#/recordings?in=number&q=%2B49300&sort=DURATION", "Recordings")
    many.until(f"{ROWS} === {PAGE} || document.querySelector('[role=alert]')")
    assert "undefined" not in many.text()
    assert many.complaints() == []
