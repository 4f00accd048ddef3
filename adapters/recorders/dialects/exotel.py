"""Exotel's voice streaming: Twilio's messages with other names, L16, and numbers as texts.

Source: https://developer.exotel.com (the protocol of its voicebot and stream applets)
"""

from adapters.recorders.dialects.json_names import Names
from adapters.recorders.dialects.json_streams import JsonStream
from adapters.recorders.dialects.stream_format import TELEPHONE, StreamFormat
from recordings.ports.audio import Codec


class ExotelStream(JsonStream):
    """A stream of Exotel. It has one track: that of the leg's own party."""

    names = Names(
        stream_id="stream_sid",
        call_id="call_sid",
        account_id="account_sid",
        media_format="media_format",
        sample_rate="sample_rate",
        parameters="custom_parameters",
        default=StreamFormat(Codec.S16, TELEPHONE, 1),
        call={"from": "from", "to": "to"},
    )
