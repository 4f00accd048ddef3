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
from tests.browser.console_page import ROWS, TITLE, choose, fill, findings, focus, go, opened, press
from tests.e2e.server import Server, command, until
from tests.servers.network_link import NetworkLink

ACCOUNT = "de30acc0de30acc0de30acc0de30acc0"
IDLE = "!document.querySelector('[aria-busy=true]')"
ERROR = "document.querySelector('[role=alert]')?.innerText"


@pytest.fixture
def address(demo: Server) -> str:
    return console_address(demo)


def console_address(demo: Server) -> str:
    """Return the address of the console that the demo prints."""
    found = re.search(r"http\S+/console#token=\S+", demo.printed())
    assert found is not None
    return found[0]


class _EarlierClock(SystemClock):
    def now(self) -> Millis:
        return super().now() - 600 * SECOND


def token_for(demo: Server, seconds: int, *scopes: Scope) -> str:
    """Return a token that the service accepts for a number of seconds more. It tolerates clocks that differ by 30 s."""
    key = InstallationKey.open(demo.data / "secret.key")
    principal = Principal(ACCOUNT, frozenset(scopes or GRANTABLE), name="test")
    return Tokens(key.derive("jwt"), _EarlierClock()).issue(principal, 600 - 30 + seconds)


@pytest.fixture
def page(chromium: Chromium, address: str) -> Iterator[Page]:
    page = opened(chromium, address, "Recordings")
    yield page
    page.close()


def test_the_printed_address_signs_in_and_lists_the_recordings(page: Page, demo: Server) -> None:
    page.until(f"{ROWS} === 5")
    assert page.evaluate("location.href") == f"{demo.url}/console"
    page.reload()
    page.until(f"{ROWS} === 5")
    assert {urlsplit(each["url"]).netloc for each in page.requests() if not each["url"].startswith("data:")} == {
        urlsplit(demo.url).netloc
    }
    assert demo.shown_token() not in demo.log.read_text()
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


def test_a_user_signs_in_with_a_password(chromium: Chromium, demo: Server) -> None:
    words = ("user", "create", "--account", ACCOUNT, "--username", "maya", "--password", "correct horse", "--admin")
    made = command(*words, data=demo.data)
    assert made.returncode == 0, made.stderr
    page = opened(chromium, f"{demo.url}/console", "Sign in")
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


def test_a_token_that_expires_asks_for_another_one_and_the_page_continues(chromium: Chromium, demo: Server) -> None:
    token = token_for(demo, 3)
    page = opened(chromium, f"{demo.url}/console#token={token}", "Recordings")
    go(page, "#/recordings?q=Order&in=label", "Recordings")
    page.until(f"{ROWS} === 2")
    refresh = "[...document.querySelectorAll('button')].find(each => each.innerText === 'Refresh')?.click()"
    page.until(f"{refresh}, {TITLE} === 'Sign in'")
    assert "Your session has ended" in page.text()
    for text, message in (("nonsense", "does not accept this token"), (demo.shown_token(), "")):
        fill(page, "Token or API key", text)
        page.press_enter()
        if message:
            assert message in page.until(ERROR)
    page.until(f"{ROWS} === 2 && document.querySelector('[type=search]').value === 'Order'")
    page.close()


def test_an_unreachable_store_says_what_to_do(chromium: Chromium, mongodb_uri: str, tmp_path: Path) -> None:
    replica_set = re.search(r"replicaSet=\w+", mongodb_uri)
    assert replica_set is not None
    with NetworkLink(urlsplit(mongodb_uri).port or 27017) as link:
        (port,) = link.ports.values()
        uri = f"mongodb://127.0.0.1:{port}/{tmp_path.name}?{replica_set[0]}&serverSelectionTimeoutMS=500"
        with Server(tmp_path / "data", "--demo", RECORDINGS_MONGODB=uri) as server:
            page = opened(chromium, console_address(server), "Recordings")
            page.until(f"{ROWS} === 5")
            link.cut(refuse=True)
            press(page, "Refresh")
            assert "The store of the recordings cannot be reached" in page.until(ERROR)
            link.heal()
            press(page, "Try again")
            # The driver of MongoDB can need some seconds to find it again. Then the next try succeeds.
            again = "[...document.querySelectorAll('button')].find(each => each.innerText === 'Try again')?.click()"
            until(lambda: page.evaluate(f"{ROWS} === 5 && !{ERROR} || void {again}"), pause=2)
            page.close()


def test_an_unreachable_server_says_what_to_do(page: Page) -> None:
    page.until(f"{ROWS} >= 5")
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **network)
    press(page, "Refresh")
    assert "The server cannot be reached" in page.until(ERROR)
    page.call("Network.emulateNetworkConditions", offline=False, **network)
    press(page, "Try again")
    page.until(f"{ROWS} >= 5 && !{ERROR}")


def test_actions_that_the_scopes_forbid_are_not_offered(chromium: Chromium, demo: Server) -> None:
    token = token_for(demo, 600, Scope.LISTEN)
    page = opened(chromium, f"{demo.url}/console#token={token}", "Recordings")
    assert "lack the scope READ" in page.text()
    assert [each for each in page.requests() if "recordings(" in str(each.get("postData"))] == []
    page.close()


def test_a_live_call_is_recorded_found_played_changed_deleted_and_restored(page: Page, demo: Server) -> None:
    go(page, "#/live", "Live calls")
    page.until("document.body.innerText.includes('No call is in progress')")
    with demo.call(60) as call:
        press(page, "Record")
        page.until("document.querySelector('[data-label=Recording]')?.innerText === 'Recording'")
        time.sleep(1.5)  # the least duration of the audio
        press(page, "Mask")
        press(page, "Unmask")
        focus(page, "Pause")
        page.press_enter()
        page.until("document.activeElement.innerText === 'Resume'")
        page.press_enter()
        page.until("document.activeElement.innerText === 'Pause'")
        press(page, "Stop")
        page.until("document.querySelector('[data-label=Recording]')?.innerText === 'Not recorded'")
    page.until("document.body.innerText.includes('No call is in progress')")
    streams = [each for each in page.requests() if "text/event-stream" in each["headers"].values()]
    assert len(streams) == 2
    go(page, f"#/recordings?{urlencode({'in': 'call', 'q': call.id})}", "Recordings")
    page.until(f"{ROWS} === 1")
    page.click("tbody a")
    page.until(f"{TITLE}?.includes(' to ')")
    page.until(
        "document.querySelector('.waveform > div')?.firstChild?.shadowRoot.querySelectorAll('canvas').length > 1"
    )
    assert "Masked at 0:0" in page.text()
    assert "Paused at 0:0" in page.text()
    press(page, "Play")
    page.until("document.querySelector('audio').currentTime > 0.2")
    page.until("/^0:0[1-9] /.test(document.querySelector('.time').innerText)")
    fill(page, "Label", "Complaint")
    fill(page, "Metadata", '{"case": 7}')
    press(page, "Save")
    page.until("document.body.innerText.includes('Data changed')")
    press(page, "Delete …")
    fill(page, "Reason", "a test")
    press(page, "Delete the recording")
    page.until("document.body.innerText.includes('Restore it to play it')")
    assert page.evaluate("document.querySelector('audio')") is None
    press(page, "Restore")
    page.until("document.body.innerText.includes('The recording is restored') && !!document.querySelector('audio')")
    for index, word in ((1, "Listened"), (0, "Masked"), (0, "Data changed"), (0, "Deleted"), (0, "Restored")):
        page.until(f"document.querySelectorAll('.history')[{index}]?.innerText.includes('{word}')")
    go(page, "#/recordings?in=label&q=Complaint", "Recordings")
    page.until(f"{ROWS} === 1")
    assert page.complaints() == []


def set_hidden(page: Page, *, hidden: bool) -> None:
    """Tell a page that its tab is in the background, or not. A tab of a headless browser never is."""
    value = f"Object.defineProperty(document, 'hidden', {{value: {json.dumps(hidden)}, configurable: true}})"
    page.evaluate(f"{value}; document.dispatchEvent(new Event('visibilitychange'))")


def test_hidden_pages_leave_connections_to_the_others(chromium: Chromium, address: str, demo: Server) -> None:
    pages = []
    for _ in range(4):
        page = opened(chromium, address, "Recordings")
        go(page, "#/live", "Live calls")
        page.until("document.body.innerText.includes('No call is in progress')")
        set_hidden(page, hidden=True)
        pages.append(page)
    set_hidden(page, hidden=False)
    with demo.call(60):
        page.until("[...document.querySelectorAll('button')].some((each) => each.innerText === 'Record')")
    for page in pages:
        page.close()


def test_the_keyboard_controls_the_player(page: Page) -> None:
    page.until(f"{ROWS} >= 5")
    go(page, "#/recordings?in=label&q=Survey", "Recordings")
    page.until(f"{ROWS} === 1")
    page.click("tbody a")
    page.until(f"{TITLE}?.includes('Jana Vogel') && document.activeElement.tagName === 'H1'")
    page.until("!!document.querySelector('audio')?.src")
    time_shown = "document.querySelector('.time').innerText"
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.press(key)
    page.until(f"{time_shown} === '0:05 / 0:15'")
    page.press("+")
    page.press(" ")
    page.until(
        "document.querySelector('audio').currentTime > 5.3 && document.querySelector('audio').playbackRate === 1.25"
    )
    page.press(" ")
    page.until("document.querySelector('audio').paused")
    assert findings(page) == []


def test_an_address_that_makes_no_sense_shows_a_page(page: Page) -> None:
    page.until(f"{ROWS} >= 5")
    go(page, "#/%E0", "There is no such page.")
    for fragment in (
        "#/constructor",
        "#/statistics?days=constructor",
        "#/administration/constructor",
        "#/recordings?in=constructor&q=1&state=toString&time=constructor&sort=constructor",
    ):
        page.evaluate(f"location.hash = {json.dumps(fragment)}")
        page.until(
            f"location.hash === {json.dumps(fragment)} && {TITLE} && !document.querySelector('[aria-busy=true]')"
        )
    go(page, "#/recordings", "Recordings")
    page.until(f"{ROWS} >= 5")
    assert page.complaints() == []


def test_a_chosen_policy_never_stands_beside_the_form_of_another_one(page: Page) -> None:
    go(page, "#/policies", "Recording policies")
    page.until("document.body.innerText.includes('Save the policy')")
    page.evaluate("document.querySelector('form select').focus()")
    choose(page, "Policy of", "USER")
    page.until("document.body.innerText.includes('Enter the id to show the policy.')")
    assert "Save the policy" not in page.text()
    assert page.evaluate("document.activeElement === document.querySelector('form select')")
    fill(page, "Id of the user", "ada")
    page.press_enter()
    page.until("document.body.innerText.includes('Save the policy') && location.hash.includes('id=ada')")
    assert page.complaints() == []


def test_a_policy_is_set_and_explained(page: Page) -> None:
    go(page, "#/policies?scope=USER&id=ada", "Recording policies")
    press(page, "Add calls")
    choose(page, "Decision", "DO_NOT_RECORD")
    press(page, "Save the policy")
    page.until("document.body.innerText.includes('The policy is saved')")
    fill(page, "Id of the user", "")
    page.evaluate("document.querySelector('[name=ownerId]').value = 'ada'")
    press(page, "Explain")
    page.until("document.body.innerText.includes('Do not record: ')")
    page.reload()
    page.until("document.body.innerText.includes('Minimum in seconds')")
    assert page.complaints() == []


def test_the_account_tree_switches_accounts(page: Page, demo: Server) -> None:
    made = command("account", "create", "Branch", "--parent", ACCOUNT, data=demo.data)
    assert made.returncode == 0, made.stderr
    press(page, "Account: Demo")
    press(page, "+")
    press(page, "Branch")
    page.until("document.body.innerText.includes('This account has no recordings yet')")
    press(page, "Statistics")
    page.until("document.body.innerText.includes('There are no recordings in this time')")
    page.reload()
    page.until("document.querySelector('header').innerText.includes('Account: Branch')")
    assert page.complaints() == []


def test_a_click_on_a_bar_opens_the_list_of_its_recordings(page: Page) -> None:
    go(page, "#/statistics?by=user&days=month", "Statistics")
    page.until("document.querySelectorAll('.chart canvas').length === 4")
    assert "No user" in page.evaluate("document.querySelector('details').textContent")
    page.click(".chart .u-over")
    page.until(f"{TITLE} === 'Recordings' && {ROWS} >= 5")
    listed = page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.split('?')[1]))")
    assert listed["time"] == "custom"
    # Instants: local times would be ambiguous in the hour that daylight saving repeats.
    assert {text[-1] for text in (listed["from"], listed["to"])} == {"Z"}
    assert page.complaints() == []


def test_an_administrator_manages_keys_addresses_users_and_retention(
    page: Page, demo: Server, chromium: Chromium
) -> None:
    go(page, "#/administration/keys", "API keys")
    press(page, "Create an API key")
    key = page.until("document.querySelector('pre')?.innerText")
    other = opened(chromium, f"{demo.url}/console", "Sign in")
    fill(other, "Token or API key", key)
    other.press_enter()
    other.until(f"{ROWS} >= 5")
    other.click("tbody a")
    other.until("document.body.innerText.includes('lack the scope LISTEN')")
    assert not other.evaluate(
        "[...document.querySelectorAll('button')].some(each => each.innerText.includes('Delete'))"
    )
    other.close()
    go(page, "#/administration/ingest", "Ingest addresses")
    press(page, "Create an ingest address")
    url = page.until("document.querySelector('pre')?.innerText")
    lines = page.evaluate("[...document.querySelectorAll('pre')].map(each => each.innerText)")
    assert lines[1].startswith(f'curl -sS -T call.wav "{url}/')
    assert f'<Stream url="{url.replace("http", "ws", 1)}/ws"' in lines[2]
    upload = f"{url}/call.wav?from=%2B14155550123&to=1001&call_id=console"
    body = page.evaluate(f"fetch('{upload}', {{method: 'PUT', body: new Uint8Array(9)}}).then(answer => answer.status)")
    assert body < 300
    go(page, "#/administration/retention", "Retention")
    fill(page, "Label", "Survey")
    fill(page, "Days", "3000")
    page.press_enter()
    page.until(f"{ROWS} === 1 && document.querySelector('tbody').innerText.includes('3000')")
    press(page, "Change")
    page.until("document.querySelector('[name=days]').value === '3000'")
    fill(page, "Days", "40")
    page.press_enter()
    page.until(f"{ROWS} === 1 && document.querySelector('tbody').innerText.includes('40')")
    go(page, "#/administration/users", "Users")
    fill(page, "User name", "ben")
    fill(page, "Password", "battery staple")
    page.press_enter()
    page.until("document.querySelector('tbody')?.innerText.includes('ben')")
    press(page, "Disable")
    page.until("document.querySelector('tbody').innerText.includes('Disabled')")
    page.evaluate(
        "[...document.querySelectorAll('tbody tr')].find(each => each.innerText.includes('ben'))"
        ".querySelector('button').click()"
    )
    page.until("document.activeElement.innerText === 'ben'")
    fill(page, "Family name", "Lind")
    press(page, "Save")
    page.until("document.querySelector('tbody').innerText.includes('Lind')")
    assert page.evaluate("document.querySelector('[name=lastName]').value") == "Lind"
    assert findings(page) == []
    assert page.complaints() == []


def test_an_administrator_manages_webhooks(page: Page) -> None:
    go(page, "#/administration/webhooks", "Webhooks")
    url = "https://hooks.example.com/console"
    fill(page, "URL", url)
    fill(page, "Filter of recordings", "{label")
    press(page, "Create a webhook")
    page.until("document.body.innerText.includes('not a JSON object')")
    fill(page, "Filter of recordings", '{"label": {"equal": "Order"}}')
    press(page, "Events")
    press(page, "Stored")
    press(page, "Create a webhook")
    secret = page.until("document.querySelector('pre')?.innerText")
    assert secret.startswith("whsec_")
    page.until(f"{ROWS} === 1 && document.querySelector('tbody').innerText.includes('Stored')")
    press(page, "Open")
    page.until(f"document.activeElement.innerText === '{url}'")
    assert '{"label":{"equal":"Order"}}' in page.evaluate("document.querySelector('[name=filter]').value")
    fill(page, "Name", "orders")
    press(page, "Save")
    page.until("document.querySelector('tbody').innerText.includes('orders: ')")
    page.evaluate("document.querySelector('[name=since]').value = '2026-11-01T08:00'")
    press(page, "Send again")
    page.until("document.body.innerText.includes('being sent again')")
    press(page, "New secret …")
    press(page, "New secret")
    page.until(f"[...document.querySelectorAll('pre')].some(each => each.innerText !== '{secret}')")
    assert findings(page) == []
    press(page, "Delete …")
    press(page, "Delete")
    page.until("document.body.innerText.includes('This account has no webhooks')")
    assert page.complaints() == []


PAGES = {
    "#/statistics": "Statistics",
    "#/administration/users": "Users",
    "#/administration/keys": "API keys",
    "#/administration/ingest": "Ingest addresses",
    "#/administration/retention": "Retention",
    "#/administration/webhooks": "Webhooks",
    "#/live": "Live calls",
    "#/policies?scope=USER&id=ada": "Recording policies",
    "#/policies": "Recording policies",
    "#/recordings": "Recordings",
    "#/accounts": "Switch accounts",
    "#/nothing": "There is no such page.",
}


@pytest.mark.parametrize("fragment", PAGES)
def test_axe_finds_nothing(page: Page, fragment: str) -> None:
    go(page, fragment, PAGES[fragment])
    assert findings(page) == []


def test_axe_finds_nothing_in_the_form_that_signs_in(chromium: Chromium, demo: Server) -> None:
    page = opened(chromium, f"{demo.url}/console", "Sign in")
    assert findings(page) == []
    page.close()


@pytest.mark.parametrize("path", ["/console", "/graphql", "/"])
def test_another_origin_cannot_embed_a_page(chromium: Chromium, demo: Server, path: str, tmp_path: Path) -> None:
    outer = tmp_path / "outer.html"
    outer.write_text(f'<!doctype html><iframe src="{demo.url}{path}"></iframe>', encoding="utf-8")
    page = chromium.page()
    page.open(outer.as_uri())
    deadline = time.monotonic() + 20
    while not any("frame" in each.lower() for each in page.complaints()):
        assert time.monotonic() < deadline, page.complaints()
        page.evaluate("1")
