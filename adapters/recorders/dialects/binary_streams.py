"""Media streams whose audio is in binary messages without a timestamp: the rules that these dialects share."""

from collections.abc import Mapping, Sequence

from adapters.recorders.dialects.stream_events import Audio, Event, IgnoredMessages, StreamStarted
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.dialects.stream_limits import MAX_MESSAGE, ProtocolError, check_name
from recordings.ports.audio import Codec


class BinaryStream:
    """One stream. A subclass reads the text messages; the audio needs no more than the format.

    `parameters` are those of the address. The sender's own parameters come before them.
    """

    closes_normally = True

    def __init__(self, parameters: Mapping[str, str] | None = None) -> None:
        self._parameters = parameters or {}
        self._format: StreamFormat | None = None
        self._rest = b""
        self._ignored = IgnoredMessages()

    def audio(self, message: bytes, is_text: bool) -> Sequence[Audio] | None:  # noqa: FBT001 - as in `Decoder`
        """Return the audio of a binary message."""
        return (
            None
            if is_text or self._format is None or len(message) > MAX_MESSAGE
            else self._audio(self._format, message)
        )

    def tracks(self, messages: Sequence[bytes], is_text: bool) -> None:  # noqa: FBT001 - as in `Decoder`
        """Return `None`: a message needs little more than its time, which is that of its arrival."""

    def is_note(self, message: bytes, is_text: bool) -> bool:  # noqa: ARG002, FBT001 - as in `Decoder`
        """Return false: only `receive` decodes such a message."""
        return False

    def receive(self, message: str | bytes) -> Sequence[Event]:
        """Decode a message.

        Raises:
            ProtocolError: the message is too long, not of this dialect, or not allowed at this point.
        """
        if len(message) > MAX_MESSAGE:
            raise ProtocolError(f"the message has {len(message)} characters, at most {MAX_MESSAGE} are allowed")
        return self._text(message) if isinstance(message, str) else self._binary(message)

    def _text(self, message: str) -> Sequence[Event]:
        raise NotImplementedError

    def _binary(self, data: bytes) -> Sequence[Event]:
        if self._format is None:
            raise ProtocolError("audio before the message that starts the stream")
        return self._audio(self._format, data)

    def _audio(self, format: StreamFormat, data: bytes) -> Sequence[Audio]:
        self._ignored.reset()
        return [Audio(track, None, payload) for track, payload in enumerate(self._split(format, data))]

    def _split(self, format: StreamFormat, data: bytes) -> Sequence[bytes]:
        """Return the bytes of each track. Samples of two tracks alternate. A part of a sample waits for its rest."""
        if format.codec is Codec.OPUS:
            return (data,)
        size = format.width * format.tracks
        data = self._rest + data
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        if format.tracks == 1:
            return (data[:whole],)
        return split_tracks(data[:whole], format.width)

    def _start(
        self,
        format: StreamFormat,
        parameters: Mapping[str, str],
        *,
        call_id: str,
        stream_id: str = "",
        account: str = "",
    ) -> Sequence[Event]:
        """Start the stream. The address may give the call another id."""
        if self._format is not None:
            raise ProtocolError("a second start of one stream")
        values = {**self._parameters, **parameters}
        call_id = check_name("call_id", values.get("call_id") or call_id, 0)
        self._format = format
        names = ("left", "right")[: format.tracks]
        return (StreamStarted(stream_id[:256], call_id, account, names, values, format),)


def split_tracks(data: bytes, width: int) -> tuple[bytes, bytes]:
    """Return the left and the right track of interleaved samples of one or two bytes."""
    if width == 1:
        return data[0::2], data[1::2]
    left, right = bytearray(len(data) // 2), bytearray(len(data) // 2)
    left[0::2], left[1::2] = data[0::4], data[1::4]
    right[0::2], right[1::2] = data[2::4], data[3::4]
    return bytes(left), bytes(right)
