"""The protocol `graphql-transport-ws` without I/O."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from graph.subscriptions.transport_ws import (
    BURST,
    DEAD_SECONDS,
    INIT_SECONDS,
    MAX_OPERATIONS,
    PER_SECOND,
    PING_SECONDS,
    Close,
    Event,
    Initialize,
    Send,
    Stop,
    Subscribe,
    TransportWs,
)

INIT = {"type": "connection_init"}
QUERY = {"query": "{ viewer { name } }"}


def subscribe(operation: Any = "1", **payload: Any) -> dict[str, Any]:
    return {"type": "subscribe", "id": operation, "payload": payload or QUERY}


def given_messages(*messages: Any, ready: bool = True) -> tuple[TransportWs, Sequence[Event]]:
    """Return a protocol and the events of the last of these messages."""
    protocol = TransportWs(0)
    if ready:
        protocol.receive(json.dumps(INIT), 0)
        assert protocol.acknowledge(0) == '{"type":"connection_ack"}'
    events: Sequence[Event] = ()
    for message in messages:
        events = protocol.receive(message if isinstance(message, str | bytes) else json.dumps(message), 0)
    return protocol, events


def code_of(events: Sequence[Event]) -> int | None:
    return next((int(event.code) for event in events if isinstance(event, Close)), None)


@pytest.mark.parametrize(
    "message",
    [
        "[]", '"x"', "1", "null", "true", "", "{", "{}", '{"type": 1}', '{"type": "x"}', '{"type": "next", "id": "1"}',
        "\udc80", b"{}", '{"type": "subscribe", "id": "1"}', '{"type": "subscribe", "id": "1", "payload": null}',
        '{"type": "subscribe", "id": "1", "payload": []}', '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": null, "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "extensions": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "operationName": {}}}',
        '{"type": "complete"}', '{"type": "complete", "id": 1}', '{"type": "ping", "payload": 1}',
        '{"type": "pong", "payload": []}', '{"type": "connection_init", "payload": "x"}',
        '{"type": "ping", "payload": ' + "[" * 5_000 + "}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("ready", [True, False])
def test_a_malformed_message_closes_the_socket_with_4400(message: str | bytes, ready: bool) -> None:
    protocol, events = given_messages(message, ready=ready)
    assert code_of(events) == 4400
    assert protocol.receive(json.dumps(INIT), 1) == ()
    assert protocol.tick(10_000) == ()


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {}}, {"payload": {"token": "t"}}])
@pytest.mark.event_bar(4)
def test_the_payload_of_the_first_message_may_be_missing_null_or_an_object(payload: dict[str, Any]) -> None:
    _, events = given_messages(INIT | payload, ready=False)
    assert events == (Initialize(payload.get("payload")),)


@pytest.mark.parametrize(
    ("messages", "ready", "code"),
    [
        ([subscribe()], False, 4401),
        ([INIT, subscribe()], False, 4401),
        ([INIT], True, 4429),
        ([INIT, INIT], False, 4429),
        ([subscribe(), subscribe()], True, 4409),
        ([{"type": "pong"}] * BURST, True, 4429),
    ],
)
def test_a_message_at_the_wrong_time_closes_the_socket(messages: list[Any], ready: bool, code: int) -> None:
    _, events = given_messages(*messages, ready=ready)
    assert code_of(events) == code


def test_a_client_that_sends_no_first_message_is_closed_with_4408() -> None:
    protocol = TransportWs(100)
    assert protocol.tick(100 + INIT_SECONDS - 0.1) == ()
    assert code_of(protocol.tick(100 + INIT_SECONDS)) == 4408
    waiting, _ = given_messages(INIT, ready=False)
    assert waiting.tick(INIT_SECONDS) == ()


def test_pings_are_sent_and_a_silent_client_is_closed() -> None:
    protocol, _ = given_messages()
    found = [(now, event) for now in range(100) for event in protocol.tick(now)]
    *pings, (at, close) = found
    assert pings == [(now, Send('{"type":"ping"}')) for now in (PING_SECONDS, 2 * PING_SECONDS)]
    assert (at, code_of([close])) == (DEAD_SECONDS, 4408)


@pytest.mark.parametrize("ready", [True, False])
def test_a_pong_has_the_payload_of_its_ping(ready: bool) -> None:
    for payload in ({}, {"payload": None}, {"payload": {"a": [1, "é"]}}):
        _, (event,) = given_messages({"type": "ping"} | payload, ready=ready)
        assert isinstance(event, Send)
        expected = {"type": "pong"} | {name: value for name, value in payload.items() if value is not None}
        assert json.loads(event.text) == expected


def test_an_operation_too_many_is_an_error_and_the_others_continue() -> None:
    protocol, (event,) = given_messages(*(subscribe(str(number)) for number in range(MAX_OPERATIONS + 1)))
    assert isinstance(event, Send)
    message = json.loads(event.text)
    assert (message["type"], message["id"]) == ("error", str(MAX_OPERATIONS))
    assert message["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert len(protocol.operations) == MAX_OPERATIONS


@pytest.mark.parametrize(
    "payload", [{"documentId": "a"}, {"extensions": {"persistedQuery": {"version": 1}}}, {**QUERY, "variables": None}]
)
def test_a_document_is_named_or_sent(payload: dict[str, Any]) -> None:
    _, (event,) = given_messages(subscribe("é", **payload))
    assert isinstance(event, Subscribe)
    assert event.id == "é"


def test_messages_are_counted_over_time() -> None:
    protocol, _ = given_messages()
    pong = '{"type":"pong"}'
    for number in range(10 * BURST):
        assert protocol.receive(pong, number / PER_SECOND) == ()


def test_the_reason_of_a_close_fits_into_its_frame() -> None:
    _, (event,) = given_messages(subscribe(), {"type": "é" * 500})
    assert isinstance(event, Close)
    assert 0 < len(event.reason.encode()) <= 123


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text() | st.sampled_from(["query", "extensions"]), below),
    max_leaves=5,
)
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(["connection_init", "ping", "pong", "subscribe", "complete", "next"]) | JSON},
    optional={"id": st.text(max_size=2) | JSON, "payload": JSON},
)


@given(st.text() | st.binary())
def test_any_text_is_handled(message: str | bytes) -> None:
    assert code_of(given_messages(message)[1]) == 4400


@given(st.lists(MESSAGES, max_size=5), st.booleans())
def test_any_sequence_of_messages_is_handled(messages: list[Any], ready: bool) -> None:
    protocol, events = given_messages(*messages, ready=ready)
    if any(isinstance(event, Send) for event in events):
        assert protocol.is_closed is False
    assert protocol.is_closed or len(protocol.operations) <= len(messages)


class Machine(RuleBasedStateMachine):
    """Random clients and shells, against a model: the ids of the running operations."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.protocol, _ = given_messages()
        self.running: set[str] = set()
        self.is_open = True

    def receive(self, message: dict[str, Any]) -> Sequence[Event]:
        self.now += 1
        return self.protocol.receive(json.dumps(message), self.now)

    ids = st.sampled_from([str(number) for number in range(25)])

    @precondition(lambda self: self.is_open)
    @rule(operation=ids)
    def subscribes(self, operation: str) -> None:
        events = self.receive(subscribe(operation))
        if operation in self.running:
            assert code_of(events) == 4409
            self.is_open, self.running = False, set()
        elif len(self.running) < MAX_OPERATIONS:
            assert [type(event) for event in events] == [Subscribe]
            self.running.add(operation)
        else:
            assert [type(event) for event in events] == [Send]

    @rule(operation=ids)
    def stops(self, operation: str) -> None:
        events = self.receive({"type": "complete", "id": operation})
        assert events == ((Stop(operation),) if operation in self.running else ())
        self.running.discard(operation)

    @rule(operation=ids)
    def gets_a_result(self, operation: str) -> None:
        text = self.protocol.result(operation, b'{"data":1}')
        expected = {"id": operation, "type": "next", "payload": {"data": 1}}
        assert (text and json.loads(text)) == (expected if operation in self.running else None)

    @rule(operation=ids, fails=st.booleans())
    def ends(self, operation: str, fails: bool) -> None:
        text = self.protocol.fail(operation, b"[]") if fails else self.protocol.complete(operation)
        expected = {"id": operation, "type": "error", "payload": []} if fails else {"id": operation, "type": "complete"}
        assert (text and json.loads(text)) == (expected if operation in self.running else None)
        self.running.discard(operation)

    @rule(seconds=st.floats(0, 15))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        assert all(event == Send('{"type":"ping"}') for event in self.protocol.tick(self.now))
        self.receive({"type": "pong"})

    @rule()
    def agrees_with_the_model(self) -> None:
        assert self.protocol.operations == self.running
        assert self.protocol.is_closed is not self.is_open


TestMachine = Machine.TestCase
