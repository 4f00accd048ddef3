"""Lines that are written often: those of the access log, of the audit trail and of the steps of recordings.

The general code of the log takes 50 to 70 µs for a line, a tenth of a request for one recording. This code writes the
same line if it is JSON and each value is simple, and uses the general code otherwise.
"""

import time
from collections.abc import Callable, Mapping
from json import JSONEncoder, encoder
from typing import Any, Final

import structlog

from graph.server.log_setup import has_secret, json_handler, logger, scrub

_PLAIN: Final = (str, int, float, type(None))
"""Types of values that JSON has, and that have no other values in them to mask."""


def _encoder() -> Callable[[Mapping[str, Any]], str]:
    usual, make = JSONEncoder(), getattr(encoder, "c_make_encoder", None)
    if make is None:
        return usual.encode
    # `JSONEncoder` makes this encoder for each line, which takes twice as long as the encoding.
    encode = make(
        None, usual.default, encoder.encode_basestring_ascii, usual.indent, usual.key_separator, usual.item_separator,
        usual.sort_keys, usual.skipkeys, usual.allow_nan,
    )  # fmt: skip
    return lambda line: "".join(encode(line, 0))


_encode: Final = _encoder()


def log_line(name: str, event: str, fields: Mapping[str, Any], level: str = "info") -> None:
    """Write a line of the log with this name."""
    handler = json_handler(level)
    if handler is not None and all(isinstance(value, _PLAIN) for value in fields.values()):
        # The first mention of a name decides its place, and the last one its value.
        line = {**fields, "event": event, **structlog.contextvars.get_contextvars(), **fields}
        if has_secret(line.values()):
            line = {key: scrub(value) if isinstance(value, str) else value for key, value in line.items()}
        handler.write_line(_encode({**line, "level": level, "logger": name, "timestamp": _timestamp()}))
        return
    getattr(logger(name), level)(event, **fields)


_second = (-1, "")
"""The last second with a line, and its text."""


def _timestamp() -> str:
    """Return the time as in the other lines."""
    global _second  # noqa: PLW0603 - a cache of one value
    second, rest = divmod(time.time_ns(), 1_000_000_000)
    if second != _second[0]:
        _second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_second[1]}.{rest // 1_000:06d}Z"
