"""The bytes of streamed results, read back by small parsers that follow the specifications."""

import json
from email import message_from_bytes
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.execution.content_negotiation import EVENT_STREAM, MULTIPART, stream_type
from graph.execution.response import encode
from graph.subscriptions.stream_formats import EventStream, Multipart, SharedEventStream, StreamFormat

RESULTS = st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3)
CURSORS = st.text("abcXYZ019-_", min_size=1, max_size=30) | st.none()


def read_events(stream: bytes) -> list[dict[str, str]]:
    """Return the events of a stream as `EventSource` reports them."""
    events: list[dict[str, str]] = []
    for block in stream.decode().split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        if fields:
            events.append(fields)
    return events


def read_parts(stream: bytes) -> list[Any]:
    """Return the JSON of all parts."""
    head = f"Content-Type: {Multipart.content_type}\r\n\r\n".encode()
    parts: Any = message_from_bytes(head + stream).get_payload()
    return [json.loads(part.get_payload(decode=True)) for part in parts]


def streamed(form: StreamFormat, results: list[dict[str, str]], cursors: list[str | None]) -> bytes:
    """Return a whole stream, with a ping between two results."""
    sent = [form.result(encode(each), cursor) for each, cursor in zip(results, cursors, strict=False)]
    return form.start + form.ping.join(sent) + form.end


@given(st.lists(RESULTS, max_size=4), st.lists(CURSORS, min_size=4, max_size=4))
def test_every_result_is_one_event_with_its_place(results: list[dict[str, str]], cursors: list[str | None]) -> None:
    *events, last = read_events(streamed(EventStream(), results, cursors))
    assert [json.loads(each["data"]) for each in events] == results
    assert [each.get("id") for each in events] == cursors[: len(results)]
    assert {each["event"] for each in events} <= {"next"}
    assert last == {"event": "complete", "data": ""}


@given(st.lists(RESULTS, max_size=4), st.text(min_size=1))
def test_an_event_of_a_shared_stream_names_its_operation(results: list[dict[str, str]], operation: str) -> None:
    *events, last = read_events(streamed(SharedEventStream(operation), results, [None] * 4))
    assert [json.loads(each["data"]) for each in events] == [{"id": operation, "payload": each} for each in results]
    assert last["event"] == "complete"
    assert json.loads(last["data"]) == {"id": operation}


@given(st.lists(RESULTS, min_size=1, max_size=4))
def test_every_result_is_one_part_and_a_ping_is_an_empty_one(results: list[dict[str, str]]) -> None:
    parts = read_parts(streamed(Multipart(), results, [None] * 4))
    assert parts[::2] == [{"payload": each} for each in results]
    assert all(part == {} for part in parts[1::2])


def test_a_part_is_complete_when_the_next_boundary_is_sent() -> None:
    form = Multipart()
    assert (form.start + form.result(b"{}", None)).endswith(b"\r\n--graphql")
    assert (form.start + form.result(b"{}", None) + form.end).endswith(b"\r\n--graphql--\r\n")


def test_a_failure_has_the_form_of_its_protocol() -> None:
    errors = b'[{"message":"no"}]'
    event, last = read_events(EventStream().failure(errors))
    assert json.loads(event["data"]) == {"errors": [{"message": "no"}]}
    assert last["event"] == "complete"
    event, last = read_events(SharedEventStream("a").failure(errors))
    assert json.loads(event["data"]) == {"id": "a", "payload": {"errors": [{"message": "no"}]}}
    assert json.loads(last["data"]) == {"id": "a"}
    form = Multipart()
    assert read_parts(form.start + form.failure(errors)) == [{"payload": None, "errors": [{"message": "no"}]}]


def test_an_interrupted_event_stream_is_not_complete() -> None:
    assert EventStream().interruption(b"[]") == b": []\n\n"


APOLLO = (
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9"
)
APOLLO_KOTLIN = 'multipart/mixed;subscriptionSpec="1.0", application/json'


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        *[(None, None), ("", None), ("*/*", None), ("text/*", None), ("multipart/*", None), ("application/json", None)],
        *[("text/event-stream", EVENT_STREAM), ("Text/Event-Stream; charset=utf-8", EVENT_STREAM)],
        ("text/event-stream;q=0", None),
        # urql's own fetch
        ("text/event-stream, multipart/mixed", EVENT_STREAM),
        *[(APOLLO, MULTIPART), (APOLLO_KOTLIN, MULTIPART)],
        # incremental delivery
        ("multipart/mixed, application/json", None),
        ("multipart/mixed;deferSpec=20220824,application/json", None),
        ("multipart/mixed;subscriptionSpec=2.0", None),
        ("text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0", MULTIPART),
    ],
)
def test_a_stream_is_chosen_by_its_exact_name(accept: str | None, expected: str | None) -> None:
    assert stream_type(accept) == expected
