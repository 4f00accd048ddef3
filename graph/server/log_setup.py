"""Structured log lines. Each contains the request's id, and no line contains a secret.

The code that logs leaves secrets out. As a second defence, `scrub` masks secrets in every text of every line, including
lines of libraries and tracebacks.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import IO, Any, Final

import structlog
from structlog.typing import EventDict, Processor

_LEVELS: Final = logging.getLevelNamesMapping()
_MASK: Final = "***"
_TRACE: Final = "exception"
_IN_TRACES: Final = "\n\t"
_SECRETS: Final = (
    # The secret of an ingest address, and the rest of the path.
    (re.compile(r"(/ingest/[^/\s?\"']+/)[^/\s?\"']+"), rf"\1{_MASK}"),
    # Values in a query string, such as signatures and tokens.
    (re.compile(r"([?&][\w.-]+=)[^&\s\"'<>]+"), rf"\1{_MASK}"),
    # JSON Web Tokens.
    (re.compile(r"\beyJ[\w-]*\.[\w-]*\.[\w-]*"), _MASK),
    # API keys, secrets and the installation's key.
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])"), _MASK),
    # User and password in a URL.
    (re.compile(r"(://)[^/\s@\"']+@"), rf"\1{_MASK}@"),
)
_ANY_SECRET: Final = re.compile("|".join(pattern.pattern for pattern, _ in _SECRETS))
"""All patterns in one, because almost no text contains a secret: one search is enough for it."""
_PARTS_OF_SECRETS: Final = ("/ingest/", "?", "&", "eyJ", "://")
"""Each pattern matches only texts with one of these parts, or with 64 hexadecimal digits."""
_SHORTEST_SECRET: Final = 64
# These libraries log every request with its URL, or every socket with its path.
_QUIET: Final = ("aiobotocore", "botocore", "fsspec", "httpcore", "httpx", "pymongo", "s3fs", "uvicorn", "websockets")


def scrub(text: str) -> str:
    """Return a text with everything masked that looks like a secret of this service."""
    if _ANY_SECRET.search(text) is None:
        return text
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


def has_secret(values: Iterable[object]) -> bool:
    """Return true if `scrub` would change one of the texts among these values."""
    texts = [value for value in values if isinstance(value, str)]
    # No pattern matches across lines.
    text = "\n".join(texts)
    if not any(part in text for part in _PARTS_OF_SECRETS) and max(map(len, texts), default=0) < _SHORTEST_SECRET:
        # The search takes 13 µs, and almost no line of the access log needs it.
        return False
    return _ANY_SECRET.search(text) is not None


class JsonHandler(logging.StreamHandler[IO[str]]):
    """Writes lines of JSON to a stream."""

    def write_line(self, line: str) -> None:
        """Write a complete line, in order with the others."""
        with self.lock or nullcontext():
            try:
                self.stream.write(line + self.terminator)
                self.stream.flush()
            except Exception:  # noqa: BLE001 - as `emit`: a log that cannot be written must not fail the request
                self.handleError(logging.makeLogRecord({"msg": line}))


def json_handler(level: str) -> JsonHandler | None:
    """Return the only handler of lines of this level, if it writes JSON."""
    root = logging.getLogger()
    handler = root.handlers[0] if len(root.handlers) == 1 else None
    return handler if isinstance(handler, JsonHandler) and root.isEnabledFor(_LEVELS[level.upper()]) else None


def configure(format: str = "auto", level: str = "info", stream: IO[str] | None = None) -> None:
    """Send all log lines, including those of libraries, to a stream (default: stderr). Formats: auto, console, json."""
    stream = stream or sys.stderr
    as_json = format == "json" or (format == "auto" and not stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderers = (structlog.processors.JSONRenderer(),) if as_json else (_escape_line, _console(stream))
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
        # Every line passes through here, including those of libraries.
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _scrub_line, *renderers],
    )
    _install_handler(stream, formatter, level, as_json=as_json)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> Any:
    """Return a logger. Call it with a short fixed event, and with details as keywords."""
    return structlog.get_logger(name)


def _install_handler(stream: IO[str], formatter: logging.Formatter, level: str, *, as_json: bool) -> None:
    handler = JsonHandler(stream) if as_json else logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        quiet = logging.getLogger(name)
        quiet.handlers.clear()
        quiet.propagate = True
        quiet.setLevel(logging.WARNING)


def _console(stream: IO[str]) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def _escape_line(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Escape control characters, so that a line stays one line and cannot send commands to a terminal.

    JSON needs no such step.
    """
    return {
        name: _escape(value, _IN_TRACES if name == _TRACE else "") if isinstance(value, str) else value
        for name, value in line.items()
    }


def _escape(text: str, allowed: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in allowed else ascii(each)[1:-1] for each in text)


def _scrub_line(_logger: Any, _method: str, line: EventDict) -> EventDict:
    return {name: value if name.startswith("_") else _scrub_value(value) for name, value in line.items()}


def _scrub_value(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {name: _scrub_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub_value(item) for item in value]
    return value
