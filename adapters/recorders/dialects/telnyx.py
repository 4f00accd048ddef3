"""Telnyx media streaming: Twilio's messages with other names. The payload is that of RTP, in the codec of the call.

The order of frames is not guaranteed: their timestamps decide.

Source: https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket
"""

from adapters.recorders.dialects.json_names import Names
from adapters.recorders.dialects.json_streams import JsonStream
from adapters.recorders.dialects.stream_format import StreamFormat


class TelnyxStream(JsonStream):
    """A stream of Telnyx."""

    names = Names(
        stream_id="stream_id",
        call_id="call_control_id",
        account_id="user_id",
        media_format="media_format",
        sample_rate="sample_rate",
        parameters="custom_parameters",
        default=StreamFormat(),
        call={"from": "from", "to": "to", "call_session_id": "interaction_id"},
    )
