"""The metaflow `record_call` on a live call (`docs/v2_contract.md`, section 6.1)."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from adapters.rest_v2.recording.start_parameters import read_start
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import (
    V2Error,
    invalid_input,
    not_in_enum,
    required,
    unknown_identifier,
    wrong_type,
)
from recordings.model.errors import CallNotFound, InvalidInput, NotRecording, RecorderFailed
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.start import StartRequest

MODULE: Final = "record_call"
ACTIONS: Final = ("start", "stop", "mask", "unmask", "toggle")
"""The two documented actions, and the three that only a metaflow has. In Kazoo `toggle` starts a recording."""
SENT: Final = "metaflow sent"
SKIPPED: Final = "metaflow skipped: skip_module is true, so nothing is recorded"


class ChannelEndpoint:
    """Serves `PUT .../channels/{UUID}`."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    async def control_channel(self, context: RequestContext) -> Response:
        """Start, stop, mask or unmask the recording of a call."""
        context.accepted_types()
        action, params = read_metaflow(context.parameters.body(), context.parameters.envelope.get("action"))
        try:
            done = await self._run(context, action, params)
        except CallNotFound as error:
            raise unknown_identifier(context.argument("channel_id")) from error
        except InvalidInput as error:
            raise invalid_input(error) from error
        return context.reply(done, status=201)

    async def _run(self, context: RequestContext, action: str, params: Mapping[str, Any]) -> str:
        principal, call_id, account_id = context.principal, context.argument("channel_id"), context.account.id
        if action == "start":
            start = read_start(params, self._recordings.url_prefixes)
            if start is None:
                await self._recordings.call(principal, call_id, account_id)
                return SKIPPED
            request = StartRequest(call_id=call_id, options=start.options, account_id=account_id, origin=start.origin)
            await self._recordings.start(principal, request)
            return SENT
        actions = {"stop": self._recordings.stop, "mask": self._recordings.mask, "unmask": self._recordings.unmask}
        try:
            recording = await self._recordings.active(principal, call_id, account_id)
            await actions[action](principal, recording.id)
        except NotRecording:
            await self._recordings.call(principal, call_id, account_id)
            # v2 accepts a stop without a recording. A mask without one must fail: the client relies on the silence.
            if action != "stop":
                raise
        except RecorderFailed as error:
            # While its server is unreachable, a recording is live although its call is not known. Otherwise, the call
            # may have ended a moment ago.
            if not error.is_unreachable:
                await self._recordings.call(principal, call_id, account_id)
            raise
        return SENT


def read_metaflow(data: Mapping[str, Any], envelope_action: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the action of a metaflow (`start`, `stop`, `mask` or `unmask`) and its parameters, which are not checked.

    The outer `action` may be in the envelope or in `data`. The module may be in `data` or one level below it, as in an
    example of Kazoo's documentation.

    Raises:
        V2Error: 400, with an entry for the invalid value.
    """
    if (envelope_action or data.get("action")) != "metaflow":
        raise V2Error(400, "invalid data", dict(data))
    flow = data["data"] if "module" not in data and _has_module(data.get("data")) else data
    if "module" not in flow:
        raise required("module")
    if flow["module"] != MODULE:
        raise not_in_enum("module", (MODULE,), flow["module"])
    params = flow.get("data", {})
    if not isinstance(params, Mapping):
        raise wrong_type("data", "object", params)
    action = params.get("action", "start")
    if action not in ACTIONS:
        raise not_in_enum("data.action", ACTIONS, action)
    return "start" if action == "toggle" else action, params


def _has_module(data: Any) -> bool:
    return isinstance(data, Mapping) and "module" in data
