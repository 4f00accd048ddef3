"""The first minute with GraphiQL, in a real browser: from the address that the demo prints to a result."""

import json
import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from graph.demo.welcome import SUBSCRIPTION
from tests.browser.chromium import Chromium, Page
from tests.e2e.server import Server, command, until

HEADER_EDITOR = "[aria-label=Headers] .graphiql-editor:not(.hidden)"
HEADERS = f"document.querySelector('{HEADER_EDITOR} .view-lines')?.innerText.replaceAll('\\u00a0', ' ').trim()"
RESPONSE = "document.querySelector('.graphiql-response .view-lines')?.innerText.replaceAll('\\u00a0', ' ')"
NOTICE = "document.querySelector('.notice')?.innerText"
DOCS = "document.querySelector('.graphiql-doc-explorer')?.innerText"


def printed_address(demo: Server) -> str:
    found = re.search(r"http\S+/graphql#token=\S+", demo.printed())
    assert found is not None
    return found[0]


def demo_headers(demo: Server) -> str:
    return json.dumps({"X-Auth-Token": demo.shown_token()})


def wait_for_schema(page: Page) -> None:
    """Wait until the editor has its text, and the documentation shows the schema.

    Open the documentation first, if it is not open from before a reload.
    """
    page.until("document.querySelector('.graphiql-query-editor .view-lines')?.innerText.trim().length > 0")
    page.until("!!document.querySelector(\"button[aria-label$='Documentation Explorer']\")")
    if not page.evaluate(f"Boolean({DOCS})"):
        page.click("button[aria-label='Show Documentation Explorer']")
    page.until(f"{DOCS}?.includes('mutation: Mutation')")


def run_query(page: Page) -> str:
    """Press the button until the response is there, and return it. The button may move while the page still loads."""

    def response() -> str | None:
        found = page.evaluate(f"{RESPONSE}?.includes('totalCount') ? {RESPONSE} : ''")
        if not found:
            page.click(".graphiql-execute-button")
        return str(found) if found else None

    return until(response, pause=2)


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    page = chromium.page()
    yield page
    page.close()


def test_the_printed_address_opens_with_its_token_and_a_reload_keeps_it(page: Page, demo: Server) -> None:
    page.open(printed_address(demo))
    wait_for_schema(page)
    assert page.until(HEADERS) == demo_headers(demo)
    assert page.evaluate("location.href") == f"{demo.url}/graphql"
    assert not page.evaluate(NOTICE)
    page.reload()
    wait_for_schema(page)
    assert page.until(HEADERS) == demo_headers(demo)
    response = run_query(page)
    assert '"totalCount": 5' in response
    assert '"errors"' not in response
    assert page.complaints() == []


def test_the_printed_subscription_shows_each_change(page: Page, demo: Server) -> None:
    page.open(printed_address(demo))
    wait_for_schema(page)

    def pasted() -> bool:
        # The editor may still load. It takes over the text a moment after the paste.
        page.evaluate("document.querySelector('.graphiql-query-editor textarea').focus()")
        page.select_all()
        page.paste(SUBSCRIPTION)
        time.sleep(1)
        return bool(page.evaluate("JSON.stringify(localStorage).includes('recordingChanged')"))

    until(pasted)
    page.click(".graphiql-execute-button")
    client = demo.client(demo.shown_token())
    (item,) = client.graphql("{ recordings(first: 1) { nodes { id label } } }")["recordings"]["nodes"]

    def shown() -> bool:
        # The browser may still open its socket.
        client.mutate("updateRecording", id=item["id"], label=f"seen {time.monotonic()}")
        return bool(page.evaluate(f"{RESPONSE}?.includes('AMENDED')"))

    until(shown, pause=0.3)
    client.mutate("updateRecording", id=item["id"], label=item["label"])
    assert '"recordingChanged"' in page.evaluate(RESPONSE)
    assert demo.shown_token() not in demo.log.read_text()
    page.click(".graphiql-execute-button")
    assert page.complaints() == []


def test_a_closed_tab_leaves_no_text_to_the_next_test(chromium: Chromium, demo: Server) -> None:
    first = chromium.page()
    first.open(f"{demo.url}/graphql")
    first.until(NOTICE)
    first.evaluate("void setInterval(() => { localStorage.left = 'by the first test'; }, 0)")
    first.until("localStorage.left")
    first.close()
    second = chromium.page()
    second.open(f"{demo.url}/graphql")
    second.until(NOTICE)
    assert second.evaluate("localStorage.left ?? ''") == ""
    second.close()


def test_the_token_is_sent_in_the_header_only_and_to_this_server_only(page: Page, demo: Server) -> None:
    page.open(printed_address(demo))
    wait_for_schema(page)
    run_query(page)
    requests = page.requests()
    addresses = {each["url"] for each in requests if not each["url"].startswith(("data:", "blob:"))}
    assert {urlsplit(each).netloc for each in addresses} == {urlsplit(demo.url).netloc}
    assert not [each for each in addresses if demo.shown_token() in each]
    assert {each["headers"].get("X-Auth-Token") for each in requests if each["method"] == "POST"} == {
        demo.shown_token()
    }
    page.until("localStorage['graphiql:queries']")
    assert demo.shown_token() not in page.evaluate("JSON.stringify(localStorage)")
    assert demo.shown_token() not in demo.log.read_text()


def test_without_a_token_the_page_asks_for_one_and_shows_no_error(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql")
    assert "Enter a token or an API key" in page.until(NOTICE)
    assert page.until(HEADERS) == '{"X-Auth-Token": ""}'
    assert [each["url"] for each in page.requests() if each["method"] == "POST"] == []
    assert not (page.evaluate(RESPONSE) or "").strip()
    enter_token(page, demo.shown_token())
    wait_for_schema(page)
    assert not page.evaluate(NOTICE)
    assert page.evaluate(HEADERS) == demo_headers(demo)
    assert page.complaints() == []


def test_the_field_takes_every_form_in_which_a_token_is_printed(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql")
    page.until(NOTICE)
    forms = ['{"X-Auth-Token": "first"}', "Bearer second", f"{demo.url}/graphql#token=third", " fourth "]
    for form, token in zip(forms, ("first", "second", "third", "fourth"), strict=True):
        enter_token(page, form)
        page.until(f'{HEADERS} === \'{{"X-Auth-Token": "{token}"}}\'')
    enter_token(page, "żółw")
    page.until(f"{NOTICE}?.includes('ISO-8859-1')")


def test_a_token_in_the_header_editor_loads_the_schema_and_survives_a_reload(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql")
    page.until(NOTICE)
    paste_headers(page, demo.shown_token())
    page.until(f"{NOTICE}?.includes('not a JSON object')")
    headers = json.dumps({"Authorization": f"Bearer {demo.shown_token()}"})
    paste_headers(page, headers)
    wait_for_schema(page)
    assert not page.evaluate(NOTICE)
    page.reload()
    wait_for_schema(page)
    assert page.until(HEADERS) == headers


def test_a_rejected_token_is_explained_and_replaced_by_the_next_printed_address(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql#token=expired")
    page.until(f"{NOTICE}?.includes('unknown, expired or revoked')")
    page.reload()
    page.until(f"{NOTICE}?.includes('unknown, expired or revoked')")
    # Only the fragment differs, so the browser does not load the page again.
    page.open(printed_address(demo))
    wait_for_schema(page)
    assert page.evaluate(HEADERS) == demo_headers(demo)
    assert page.evaluate("location.href") == f"{demo.url}/graphql"
    assert not page.evaluate(NOTICE)
    page.until(f"!{RESPONSE}?.includes('errors')")


def test_the_address_keeps_other_headers_and_replaces_another_credential(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql")
    page.until(NOTICE)
    paste_headers(page, '{"authorization": "Bearer old", "X-Request-Id": "mine",}')
    page.until(f"{NOTICE}?.includes('expired')")
    # With another page in between, the browser loads the page again, and finds the old headers in its storage.
    page.open("about:blank")
    page.open(printed_address(demo))
    page.until(f"{HEADERS}?.includes('eyJ')")
    found = json.loads(page.evaluate(HEADERS))
    assert found == {"X-Auth-Token": demo.shown_token(), "X-Request-Id": "mine"}


def test_a_new_tab_of_the_editor_and_an_entry_of_the_history_have_the_token(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql")
    page.until(NOTICE)
    enter_token(page, demo.shown_token())
    page.until(f"{HEADERS} === {json.dumps(demo_headers(demo))}")
    run_query(page)
    page.click(".graphiql-tab-add")
    page.until(f"{HEADERS} === {json.dumps(demo_headers(demo))}")
    page.reload()
    page.until(f"{HEADERS} === {json.dumps(demo_headers(demo))}")
    page.click("button[aria-label='Show History']")
    page.click(".graphiql-history-item-label")
    page.until("document.querySelector('.graphiql-query-editor .view-lines').innerText.includes('recordings')")
    assert page.evaluate(HEADERS) == demo_headers(demo)


def test_headers_that_an_older_page_left_in_the_history_are_removed(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql")
    page.until(NOTICE)
    old = json.dumps({"queries": [{"query": "{ viewer { name } }", "headers": "a secret"}]})
    page.evaluate(f"Object.assign(localStorage, {{'graphiql:queries': {json.dumps(old)}, 'graphiql:favorites': '{{'}})")
    page.reload()
    page.until(NOTICE)
    assert json.loads(page.evaluate("localStorage['graphiql:queries']")) == {
        "queries": [{"query": "{ viewer { name } }"}]
    }


def test_two_browser_tabs_have_a_token_each(chromium: Chromium, page: Page, demo: Server) -> None:
    first, second = page, chromium.page()
    first.open(printed_address(demo))
    first.until(f"{HEADERS}?.includes('eyJ')")
    second.open(f"{demo.url}/graphql#token=another")
    second.until(f"{NOTICE}?.includes('expired')")
    assert first.until(HEADERS) == demo_headers(demo)
    assert second.evaluate(HEADERS) == '{"X-Auth-Token": "another"}'


def test_a_token_that_may_not_read_the_schema_still_runs_queries(page: Page, demo: Server) -> None:
    made = command("token", "--account", "de30acc0de30acc0de30acc0de30acc0", "--scope", "listen", data=demo.data)
    token = re.search(r"eyJ\S+", made.stdout)
    assert token is not None, made
    page.open(f"{demo.url}/graphql#token={token[0]}")
    assert "may not read the schema" in page.until(NOTICE)


def test_a_schema_that_could_not_be_loaded_is_loaded_by_a_visible_button(page: Page, demo: Server) -> None:
    page.open(f"{demo.url}/graphql")
    page.until(NOTICE)
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **conditions)
    enter_token(page, demo.shown_token())
    page.until(f"{NOTICE}?.includes('the server cannot be reached')")
    page.call("Network.emulateNetworkConditions", offline=False, **conditions)
    page.click(".notice button")
    wait_for_schema(page)
    assert not page.evaluate(NOTICE)


def test_the_notice_is_dark_on_a_dark_page(chromium: Chromium, demo: Server) -> None:
    page = chromium.page(dark=True)
    page.open(f"{demo.url}/graphql")
    page.until(NOTICE)
    colour = page.evaluate("getComputedStyle(document.querySelector('.notice')).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", colour))) < 300, colour


def enter_token(page: Page, text: str) -> None:
    page.click(".notice input")
    page.type(text)
    page.press_enter()


def paste_headers(page: Page, text: str) -> None:
    page.click(HEADER_EDITOR)
    page.select_all()
    page.paste(text)
