"""The request to a webhook in each format, read by the SDK of CloudEvents and by a receiver of Kazoo's webhooks."""

import json
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.feed_event import EventInclude, EventType, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.recording import Recording, State
from recordings.model.webhook import HttpVerb, Webhook, WebhookFormat, WebhookRequest
from recordings.rules.event_document import cloud_event, event_id
from recordings.rules.kazoo_webhook import KazooAction, types_of
from recordings.rules.webhook_request import Origin, encode

ACCOUNT: Final = "ac" * 16
RECORDING: Final = Recording(
    id="202611-" + "0a" * 16, account_id=ACCOUNT, state=State.STORED, start=0, created=0, modified=0, call_id="cäll",
    from_="1001@a", to="+49301@a", label="Grüße", caller_id_name="Ada",
)  # fmt: skip
ROW: Final = RECORDING.to_row()
EVENT: Final = FeedEvent(
    account_id=ACCOUNT, subject=RECORDING.id, revision=5, type=EventType.STORED, time=1_795_336_400_001,
    stamp=1_795_336_400_000, state="STORED", duration_ms=61_000,
)  # fmt: skip
HOOK: Final = Webhook(id="0d" * 16, account_id="ee" * 16, url="https://x.example/hook", created=0, modified=0)
BASE: Final = "https://rec.example"
JSON: Final = {"format": "json"}
OBJECT: Final = {
    "id": RECORDING.id, "account_id": ACCOUNT, "action": "doc_created", "type": "call_recording", "cluster_id": "c1",
}  # fmt: skip


def request_of(event: FeedEvent, row: RecordingRow | None = ROW, **settings: Any) -> WebhookRequest | None:
    return encode(replace(HOOK, **settings), event, row, Origin(BASE, "c1"))


def sent(event: FeedEvent = EVENT, row: RecordingRow | None = ROW, **settings: Any) -> WebhookRequest:
    request = request_of(event, row, **settings)
    assert request is not None
    return request


def kazoo(event: FeedEvent = EVENT, **settings: Any) -> WebhookRequest:
    return sent(event, format=WebhookFormat.KAZOO, **settings)


def test_the_standard_body_has_a_type_a_time_and_data() -> None:
    request = sent()
    assert (request.method, request.url, request.headers) == (
        "POST", HOOK.url, {"content-type": "application/json"},
    )  # fmt: skip
    body = json.loads(request.body)
    assert body == {
        "type": "recording.stored",
        "timestamp": "2026-11-22T08:33:20.001Z",
        "data": cloud_event(EVENT, ROW, BASE)["data"],
    }
    assert "Ada" not in request.body.decode()
    assert "Ada" in sent(include=(EventInclude.PARTIES,)).body.decode()


@pytest.mark.parametrize("form", [WebhookFormat.CLOUDEVENTS_BINARY, WebhookFormat.CLOUDEVENTS_STRUCTURED])
def test_the_sdk_of_cloudevents_reads_all_attributes_and_the_data(form: WebhookFormat) -> None:
    expected = cloud_event(EVENT, ROW, BASE)
    request = sent(format=form)
    assert request.method == "POST"
    read = from_http_event(HTTPMessage(dict(request.headers), request.body))
    assert read.get_data() == expected["data"]
    assert read.get_id() == event_id(EVENT)
    moment = read.get_time()
    assert moment is not None
    assert moment.isoformat(timespec="milliseconds") == "2026-11-22T08:33:20.001+00:00"
    attributes = {**read.get_attributes()}
    assert attributes | {"time": expected["time"]} == {name: expected[name] for name in expected if name != "data"}
    is_binary = form is WebhookFormat.CLOUDEVENTS_BINARY
    assert request.headers["content-type"] == ("application/json" if is_binary else "application/cloudevents+json")


@given(subject=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_header_of_cloudevents_has_printable_ascii_only(subject: str) -> None:
    event = replace(EVENT, subject=subject, type=EventType.POLICY_CHANGED)
    headers = sent(event, None, format=WebhookFormat.CLOUDEVENTS_BINARY).headers
    assert all("!" <= letter <= "~" for value in headers.values() for letter in value)
    assert unquote(headers["ce-subject"]) == subject


@pytest.mark.event_bar(12)
def test_bar_12_a_kazoo_receiver_gets_a_form_by_post() -> None:
    request = kazoo()
    assert (request.method, request.url) == ("POST", HOOK.url)
    assert request.headers == {
        "content-type": "application/x-www-form-urlencoded",
        "x-hook-id": HOOK.id,
        "x-account-id": HOOK.account_id,
    }
    assert dict(parse_qsl(request.body.decode(), strict_parsing=True)) == OBJECT


@pytest.mark.parametrize("verb", [HttpVerb.POST, HttpVerb.PUT])
@pytest.mark.event_bar(12)
def test_bar_12_a_kazoo_receiver_gets_json(verb: HttpVerb) -> None:
    request = kazoo(verb=verb, kazoo=JSON)
    assert request.method == verb.value
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == OBJECT
    assert request.body.startswith(b'{\n  "id": ')


@pytest.mark.parametrize("url", [HOOK.url, f"{HOOK.url}?key=a%20b"])
@pytest.mark.event_bar(12)
def test_bar_12_a_kazoo_receiver_gets_a_query_by_get(url: str) -> None:
    request = kazoo(url=url, verb=HttpVerb.GET, kazoo=JSON)
    assert (request.method, request.body) == ("GET", b"")
    assert request.headers == {"x-hook-id": HOOK.id, "x-account-id": HOOK.account_id}
    assert request.url.startswith(url)
    found = dict(parse_qsl(urlsplit(request.url).query, strict_parsing=True))
    assert found == OBJECT | ({"key": "a b"} if "?" in url else {})


@pytest.mark.event_bar(12)
def test_bar_12_custom_data_joins_the_body_and_wins() -> None:
    data = {"id": "mine", "tag": "a b&ä", "type": "all", "action": "all", "cluster_id": "mine"}
    expected = OBJECT | {"id": "mine", "tag": "a b&ä"}
    assert dict(parse_qsl(kazoo(custom_data=data).body.decode(), strict_parsing=True)) == expected
    assert json.loads(kazoo(custom_data=data, kazoo=JSON).body) == expected


ACTIONS: Final = {
    EventType.STORED: "doc_created",
    EventType.AMENDED: "doc_edited",
    EventType.HELD: "doc_edited",
    EventType.RELEASED: "doc_edited",
    EventType.RESTORED: "doc_edited",
    EventType.TRASHED: "doc_deleted",
    EventType.WEBHOOK_TEST: "doc_edited",
}


@pytest.mark.parametrize("kind", EventType)
def test_each_event_has_its_action_or_no_request(kind: EventType) -> None:
    request = request_of(replace(EVENT, type=kind), format=WebhookFormat.KAZOO, kazoo=JSON)
    assert (None if request is None else json.loads(request.body)["action"]) == ACTIONS.get(kind)


def test_a_change_before_the_audio_is_stored_has_no_request() -> None:
    event = replace(EVENT, type=EventType.AMENDED, state="RECORDING")
    assert request_of(event, format=WebhookFormat.KAZOO) is None


def test_a_test_names_the_webhook_and_no_recording() -> None:
    event = replace(EVENT, type=EventType.WEBHOOK_TEST, subject=f"webhook:{HOOK.id}")
    body = json.loads(kazoo(event, kazoo=JSON).body)
    assert body == OBJECT | {"id": HOOK.id, "type": "webhook", "action": "doc_edited"}


@pytest.mark.parametrize(
    ("modifiers", "is_sent"),
    [
        ({}, True),
        ({"action": ["doc_created", "doc_deleted"]}, True),
        ({"action": "doc_created"}, True),
        ({"action": []}, True),
        ({"owner_id": "unknown keys do not count"}, True),
        ({"action": ["doc_edited"]}, False),
        ({"account_id": "0" * 32}, False),
        ({"action": "doc_created", "type": ["user"]}, False),
    ],
)
def test_modifiers_select_events(modifiers: dict[str, Any], *, is_sent: bool) -> None:
    found = request_of(EVENT, format=WebhookFormat.KAZOO, kazoo={"modifiers": modifiers})
    assert (found is not None) is is_sent


def test_an_action_selects_the_types_of_its_events() -> None:
    assert types_of(KazooAction.CREATED) == {EventType.STORED}
    assert types_of(KazooAction.DELETED) == {EventType.TRASHED}
    assert types_of(None) == {kind for kind in ACTIONS if kind is not EventType.WEBHOOK_TEST}
