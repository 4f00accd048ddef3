"""The console in a real browser: from the address that the demo prints to a found recording."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from adapters.identity import InstallationKey, Tokens
from graph.server.system_clock import SystemClock
from recordings.model.account import GRANTABLE, Principal, Scope
from recordings.model.instants import SECOND, Millis
from tests.browser.chromium import Chromium, Page
from tests.browser.console_page import ROWS, TITLE, choose, fill, findings, go, opened, press
from tests.e2e.server import Server, command
from tests.servers.network_link import NetworkLink

ACCOUNT = "de30acc0de30acc0de30acc0de30acc0"
IDLE = "!document.querySelector('[aria-busy=true]')"
ERROR = "document.querySelector('[role=alert]')?.innerText"


@pytest.fixture(scope="module")
def link(mongodb_uri: str) -> Iterator[NetworkLink]:
    with NetworkLink(urlsplit(mongodb_uri).port or 27017) as opened:
        yield opened


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, mongodb_uri: str, link: NetworkLink) -> Iterator[Server]:
    (port,) = link.ports.values()
    replica_set = re.search(r"replicaSet=(\w+)", mongodb_uri)
    assert replica_set is not None
    data = tmp_path_factory.mktemp("console") / "data"
    uri = f"mongodb://127.0.0.1:{port}/console_{data.parent.name}?{replica_set[0]}&serverSelectionTimeoutMS=500"
    with Server(data, "--demo", RECORDINGS_MONGODB=uri) as server:
        yield server


@pytest.fixture(scope="module")
def address(service: Server) -> str:
    """The address of the console that the demo prints."""
    found = re.search(r"http\S+/console#token=\S+", service.printed())
    assert found is not None
    return found[0]


class _EarlierClock(SystemClock):
    def now(self) -> Millis:
        return super().now() - 600 * SECOND


def token_for(service: Server, seconds: int, *scopes: Scope) -> str:
    """Return a token that the service accepts for a number of seconds more. It tolerates clocks that differ by 30 s."""
    key = InstallationKey.open(service.data / "secret.key")
    principal = Principal(ACCOUNT, frozenset(scopes or GRANTABLE), name="test")
    return Tokens(key.derive("jwt"), _EarlierClock()).issue(principal, 600 - 30 + seconds)


@pytest.fixture
def page(chromium: Chromium, address: str) -> Iterator[Page]:
    page = opened(chromium, address, "Recordings")
    yield page
    page.close()


def test_the_printed_address_signs_in_and_lists_the_recordings(page: Page, service: Server) -> None:
    page.until(f"{ROWS} === 5")
    assert page.evaluate("location.href") == f"{service.url}/console"
    page.reload()
    page.until(f"{ROWS} === 5")
    assert {urlsplit(each["url"]).netloc for each in page.requests() if not each["url"].startswith("data:")} == {
        urlsplit(service.url).netloc
    }
    assert service.shown_token() not in service.log.read_text()
    press(page, "Sign out")
    page.until(f"{TITLE} === 'Sign in'")
    page.reload()
    page.until(f"{TITLE} === 'Sign in'")
    assert page.complaints() == []


def searched(kind: str, wanted: str) -> str:
    """Return the fragment of a search."""
    return f"#/recordings?{urlencode({'in': kind, 'q': wanted})}"


def test_the_address_has_the_search_and_the_filters_and_the_order(page: Page) -> None:
    page.until(f"{ROWS} === 5")
    for kind, wanted, count in (
        ("number", "+4930", 1),
        ("name", "Maya", 1),
        ("label", "Order", 2),
        ("call", "demo-order", 1),
    ):
        choose(page, "Search in", kind)
        fill(page, "Search", wanted)
        page.press_enter()
        page.until(f"location.hash === '{searched(kind, wanted)}' && {IDLE} && {ROWS} === {count}")
    page.evaluate("history.go(-2)")
    page.until(f"{ROWS} === 2 && document.querySelector('[type=search]').value === 'Order'")
    press(page, "Show all")
    page.until(f"{ROWS} === 5")
    press(page, "Duration")
    page.until("document.querySelector('[aria-sort]')?.innerText.includes('Duration')")
    first = "document.querySelector('tbody [data-label=Duration]').innerText"
    page.until(f"{first} === '0:25'")
    press(page, "Duration ▼")
    page.until(f"{first} === '0:08'")
    page.reload()
    page.until(f"{ROWS} === 5 && {first} === '0:08'")
    choose(page, "Time", "week")
    page.until(f"{ROWS} === 4")
    choose(page, "State", "problem")
    page.until("document.body.innerText.includes('No recording matches')")
    assert "time=week" in page.evaluate("location.hash")
    assert page.complaints() == []


def test_a_user_signs_in_with_a_password(chromium: Chromium, service: Server) -> None:
    words = ("user", "create", "--account", ACCOUNT, "--username", "maya", "--password", "correct horse", "--admin")
    made = command(*words, data=service.data, RECORDINGS_MONGODB=service.variables["RECORDINGS_MONGODB"])
    assert made.returncode == 0, made.stderr
    page = opened(chromium, f"{service.url}/console", "Sign in")
    press(page, "User name and password")
    for password in ("wrong horse", "correct horse"):
        for label, text in (("Name or realm of the account", "Demo"), ("User name", "maya"), ("Password", password)):
            fill(page, label, text)
        page.press_enter()
        if password == "wrong horse":
            assert "the password is wrong" in page.until(ERROR)
    page.until(f"{ROWS} === 5")
    token = page.evaluate("JSON.parse(sessionStorage['recordings:console']).credential")
    press(page, "Sign out")
    page.until(f"{TITLE} === 'Sign in'")
    headers = json.dumps({"headers": {"x-auth-token": token, "graphql-require-preflight": "1"}})
    page.until(f"fetch('graphql?query={{viewer{{name}}}}', {headers}).then(response => response.status === 401)")
    assert not [each for each in page.requests() if "horse" in json.dumps(each)]
    page.close()


def test_a_token_that_expires_asks_for_another_one_and_the_page_continues(chromium: Chromium, service: Server) -> None:
    token = token_for(service, 3)
    page = opened(chromium, f"{service.url}/console#token={token}", "Recordings")
    go(page, "#/recordings?q=Order&in=label", "Recordings")
    page.until(f"{ROWS} === 2")
    refresh = "[...document.querySelectorAll('button')].find(each => each.innerText === 'Refresh')?.click()"
    page.until(f"{refresh}, {TITLE} === 'Sign in'")
    assert "Your session has ended" in page.text()
    for text, message in (("nonsense", "does not accept this token"), (service.shown_token(), "")):
        fill(page, "Token or API key", text)
        page.press_enter()
        if message:
            assert message in page.until(ERROR)
    page.until(f"{ROWS} === 2 && document.querySelector('[type=search]').value === 'Order'")
    page.close()


def test_an_unreachable_store_and_an_unreachable_server_say_what_to_do(
    page: Page, service: Server, link: NetworkLink
) -> None:
    page.until(f"{ROWS} === 5")
    link.cut(refuse=True)
    try:
        press(page, "Refresh")
        assert "The store of the recordings cannot be reached" in page.until(ERROR)
    finally:
        link.heal()
    press(page, "Try again")
    page.until(f"{ROWS} === 5 && !{ERROR}")
    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    press(page, "Refresh")
    assert "The server cannot be reached" in page.until(ERROR)
    page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    press(page, "Try again")
    page.until(f"{ROWS} === 5 && !{ERROR}")


def test_actions_that_the_scopes_forbid_are_not_offered(chromium: Chromium, service: Server) -> None:
    token = token_for(service, 600, Scope.LISTEN)
    page = opened(chromium, f"{service.url}/console#token={token}", "Recordings")
    assert "lack the scope READ" in page.text()
    assert [each for each in page.requests() if "recordings(" in str(each.get("postData"))] == []
    page.close()


PAGES = {"#/recordings": "Recordings", "#/accounts": "Switch accounts", "#/nothing": "There is no such page."}


@pytest.mark.parametrize("fragment", PAGES)
def test_axe_finds_nothing(page: Page, fragment: str) -> None:
    go(page, fragment, PAGES[fragment])
    assert findings(page) == []


def test_axe_finds_nothing_in_the_form_that_signs_in(chromium: Chromium, service: Server) -> None:
    page = opened(chromium, f"{service.url}/console", "Sign in")
    assert findings(page) == []
    page.close()


@pytest.mark.parametrize("path", ["/console", "/graphql", "/"])
def test_another_origin_cannot_embed_a_page(chromium: Chromium, service: Server, path: str, tmp_path: Path) -> None:
    outer = tmp_path / "outer.html"
    outer.write_text(f'<!doctype html><iframe src="{service.url}{path}"></iframe>', encoding="utf-8")
    page = chromium.page()
    page.open(outer.as_uri())
    deadline = time.monotonic() + 20
    while not any("frame" in each.lower() for each in page.complaints()):
        assert time.monotonic() < deadline, page.complaints()
        page.evaluate("1")
