"""Twilio Media Streams, and SignalWire's `<Stream>`, which has the same messages and also L16.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from adapters.recorders.dialects.json_names import Names
from adapters.recorders.dialects.json_streams import JsonStream
from adapters.recorders.dialects.stream_format import StreamFormat


class TwilioStream(JsonStream):
    """A stream of Twilio or SignalWire."""

    names = Names(
        stream_id="streamSid",
        call_id="callSid",
        account_id="accountSid",
        media_format="mediaFormat",
        sample_rate="sampleRate",
        parameters="customParameters",
        default=StreamFormat(),
        call={},
    )
