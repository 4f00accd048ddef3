"""What streams and the embedded recorder say for recording policies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette

from adapters.recorders.dialects.call_parties import make_call
from adapters.recorders.embedded import EmbeddedRecorder
from adapters.recorders.embedded.audiosocket_calls import AudioSocketCalls
from adapters.recorders.embedded.audiosocket_route import audiosocket_route
from adapters.spool import FolderSpool
from recordings.model.account import Principal, Scope
from recordings.model.call import Call, Network
from recordings.model.recording import EndCause
from recordings.ports.recorder import CallChange, CallEvent
from tests.adapters.recorders.parts import audio, live_call
from tests.support.fake_clock import FakeClock

ONNET, OFFNET = Network


def call_of(others: Any = None, **fields: Any) -> Call:
    return make_call(fields, account_id="a", call_id="c", started=1, others=others or {})


@pytest.mark.parametrize(
    ("fields", "networks"),
    [
        ({}, (None, None)),
        ({"network": "offnet"}, (OFFNET, ONNET)),
        ({"network": "OnNet", "direction": "inbound"}, (ONNET, ONNET)),
        ({"network": "offnet", "direction": "outbound"}, (ONNET, OFFNET)),
        ({"network": "wan"}, (None, None)),
        ({"from_network": "offnet"}, (OFFNET, None)),
        ({"network": "offnet", "to_network": "offnet"}, (OFFNET, OFFNET)),
    ],
)
def test_the_networks_of_a_call(fields: dict[str, str], networks: tuple[Any, Any]) -> None:
    call = call_of(**fields)
    assert (call.from_network, call.to_network) == networks


def test_the_networks_of_a_call_of_kazoo() -> None:
    assert call_of({"Resource-Type": "offnet-origination"}).from_network is OFFNET
    assert call_of({"Resource-Type": "offnet-termination"}).to_network is OFFNET
    assert call_of({"Resource-Type": "offnet-termination"}, network="onnet").to_network is ONNET


@pytest.mark.parametrize(("text", "record"), [("true", True), ("No", False), ("1", True), ("", None), ("maybe", None)])
def test_a_request_to_record(text: str, record: bool | None) -> None:
    assert call_of(record=text).record is record


@pytest.mark.parametrize(("text", "consent"), [("given", True), ("REFUSED", False), ("yes", None)])
def test_the_consent_of_the_parties(text: str, consent: bool | None) -> None:
    assert call_of(consent=text).consent is consent


async def test_each_change_of_a_call_is_reported_once(tmp_path: Path) -> None:
    recorder = EmbeddedRecorder(spool=FolderSpool(tmp_path), clock=FakeClock())
    live = recorder.open_call(live_call(), lambda _end: None)
    for number in range(3):
        recorder.receive_audio(live, audio(number * 20))
    for _ in range(2):
        await recorder.end_call(live, EndCause.HANGUP)
    await recorder.close()
    found = [event.change async for event in recorder.events() if isinstance(event, CallEvent)]
    assert found == [CallChange.ARRIVED, CallChange.ANSWERED, CallChange.ENDED]


class Expected(AudioSocketCalls):
    """Remembers the parameters of the calls that are expected."""

    parameters: Mapping[str, str] = {}

    def expect(self, account_id: str, parameters: Mapping[str, str], is_allowed: Any) -> UUID | None:
        self.parameters = parameters
        return super().expect(account_id, parameters, is_allowed)


@pytest.mark.parametrize(("record_all", "requested"), [(True, "true"), (False, None)])
async def test_an_address_that_records_every_call_requests_it_for_audiosocket(
    record_all: bool, requested: str | None
) -> None:
    async def authenticate(_address: str, _secret: str) -> Principal:
        return Principal("a", frozenset({Scope.INGEST}), record_all=record_all)

    calls = Expected()
    transport = httpx.ASGITransport(Starlette(routes=[audiosocket_route(authenticate, calls)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        assert (await client.post("/ingest/x/y/audiosocket?call_id=c")).status_code == 200
        assert calls.parameters.get("record") == requested
        await client.post("/ingest/x/y/audiosocket?call_id=c&record=false")
        assert calls.parameters["record"] == "false"
