"""Live calls: the metaflow `record_call` (contract section 6.1), which here does what it says."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from starlette.responses import Response

from adapters.rest_v2.listing.list_filters import integer
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import (
    Fault,
    invalid_input,
    not_listed,
    required,
    unknown_identifier,
    wrong_type,
)
from recordings.model.account import Principal
from recordings.model.call import Call
from recordings.model.errors import CallNotFound, InvalidInput, NotRecording
from recordings.model.options import PARAMETERS, parse_options
from recordings.model.recording import Recording
from recordings.use_cases.start import StartRequest

MODULE: Final = "record_call"
ACTIONS: Final = ("start", "stop", "mask", "unmask")
"""The documented two, and the two that a metaflow has besides (decision D6)."""
SENT: Final = "metaflow sent"


class Control(Protocol):
    """The use cases of `recordings.use_cases.recordings` that control needs."""

    @property
    def places(self) -> tuple[str, ...]:
        """What a `url` may begin with."""

    async def call(self, principal: Principal, call_id: str, account_id: str | None = None) -> Call:
        """A live call."""

    async def active(self, principal: Principal, call_id: str, account_id: str | None = None) -> Recording:
        """The recording in progress of a call."""

    async def start(self, principal: Principal, request: StartRequest) -> Recording:
        """Start."""

    async def stop(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Stop."""

    async def mask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Mask."""

    async def unmask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Unmask."""


class Calls:
    """Answers `PUT .../channels/{UUID}`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def control_channel(self, exchange: RequestContext) -> Response:
        """Do what the metaflow says, to the recording of the call."""
        exchange.choices()
        action, given = read_metaflow(exchange.parameters.body(), exchange.parameters.envelope.get("action"))
        try:
            await self._do(exchange, action, given)
        except CallNotFound as error:
            raise unknown_identifier(exchange.argument("channel_id")) from error
        except InvalidInput as error:
            raise invalid_input(error) from error
        return exchange.reply(SENT, status=201)

    async def _do(self, exchange: RequestContext, action: str, given: Mapping[str, Any]) -> None:
        principal, call_id, account_id = exchange.principal, exchange.argument("channel_id"), exchange.account.id
        options = parse_options(given, ("data",), self._control.places)
        if action == "start":
            request = StartRequest(call_id=call_id, options=options, account_id=account_id, via="rest")
            await self._control.start(principal, request)
            return
        await self._control.call(principal, call_id, account_id)
        try:
            recording = await self._control.active(principal, call_id, account_id)
        except NotRecording:
            # A stop with nothing to stop is no error to v2. A mask that masks nothing would be a dangerous silence.
            if action == "stop":
                return
            raise
        do = {"stop": self._control.stop, "mask": self._control.mask, "unmask": self._control.unmask}[action]
        await do(principal, recording.id)


def read_metaflow(data: Mapping[str, Any], envelope_action: Any) -> tuple[str, Mapping[str, Any]]:
    """What a metaflow asks for: the action, and the parameters besides it, as their types.

    The outer `action` may stand in the envelope or in `data`, the module in `data` or (as one of the reference's own
    examples has it) one level below.

    Raises:
        Fault: 400, with an entry for what is wrong.
    """
    if (envelope_action or data.get("action")) != "metaflow":
        raise Fault(400, "invalid data", dict(data))
    flow = data["data"] if "module" not in data and _has_module(data.get("data")) else data
    if "module" not in flow:
        raise required("module")
    if flow["module"] != MODULE:
        raise not_listed("module", (MODULE,), flow["module"])
    given = flow.get("data", {})
    if not isinstance(given, Mapping):
        raise wrong_type("data", "object", None)
    action = given.get("action", "start")
    if action not in ACTIONS:
        raise not_listed("data.action", ACTIONS, action)
    return action, {name: corrected(name, value) for name, value in given.items() if name != "action"}


def corrected(name: str, value: Any) -> Any:
    """A text that looks like the wanted number or truth value, as that: validation is not strict (section 5)."""
    parameter = PARAMETERS.get(name)
    if parameter is None or not isinstance(value, str):
        return value
    if parameter.type is int:
        number = integer(value)
        return value if number is None else number
    return {"true": True, "false": False}.get(value, value) if parameter.type is bool else value


def _has_module(data: Any) -> bool:
    return isinstance(data, Mapping) and "module" in data
