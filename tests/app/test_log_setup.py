"""Log lines: one format for all lines, and no secrets."""

import io
import json
import logging
import re
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from graph.server import log_setup as logs
from graph.server.log_line import log_line
from graph.server.work_log import LogReporter
from recordings.model.recording import Reason, Recording, State

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhY2NvdW50X2lkIjoieCJ9.c2lnbmF0dXJl-_"
SECRET = "0123456789abcdef" * 4
ADDRESS = "ab" * 16
TIMESTAMP = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        f"GET /ingest/{ADDRESS}/{SECRET}/ws [accepted]",
        f"GET /ingest/{ADDRESS}/another-secret-word/call.mp3?x=1",
        f"/media/202611-1?expires=1795343139139&signature={SECRET[:32]}-x",
        f"X-Auth-Token: {TOKEN}",
        f"token={TOKEN}",
        f'{{"key": "{SECRET}"}}',
        "mongodb://ada:another-secret-word@db.example/recordings",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    masked = logs.scrub(text)
    for secret in (SECRET, SECRET[:32], TOKEN, "another-secret-word", "1795343139139"):
        assert secret not in masked
    assert "***" in masked


PIECES = ["/ingest/", "/", "?", "&", "=", "a", ".", "-", "://", "@", " ", '"', "eyJ", TOKEN, SECRET, SECRET[1:], "\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_combined_pattern_finds_all_secrets(text: str) -> None:
    masked = text
    for pattern, mask in logs._SECRETS:
        masked = pattern.sub(mask, masked)
    assert logs.scrub(text) == masked


@pytest.mark.parametrize("text", ["202611-01a20293314d7bd0998266b00a0c8062", "local:ab/x.mp3", "no such file: /data/x"])
def test_other_texts_are_unchanged(text: str) -> None:
    assert logs.scrub(text) == text


def test_lines_of_the_service_and_of_libraries_have_the_same_format() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logs.logger("service").info("it happened", count=3)
        logging.getLogger("library").warning("also %s", "this")
    own, library = lines(stream)
    assert (own["event"], own["count"], own["level"], own["request_id"]) == ("it happened", 3, "info", "r1")
    assert (library["event"], library["level"], library["request_id"]) == ("also this", "warning", "r1")
    assert own["timestamp"] < library["timestamp"]


def test_secrets_are_masked_in_every_part_of_a_line() -> None:
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    log = logs.logger("service")
    log.info(TOKEN, nested={"header": [TOKEN]}, path=f"/ingest/x/{SECRET}")
    logging.getLogger("library").info("request %s", f"/media/x?signature={SECRET}")
    log.error("it failed", exc_info=ValueError(TOKEN))
    logging.getLogger("library").error("it failed", exc_info=ValueError(SECRET))
    assert "ValueError" in stream.getvalue()
    assert TOKEN not in stream.getvalue()
    assert SECRET not in stream.getvalue()


@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join),
    st.sampled_from(["json", "console"]),
    st.sampled_from(["info", "debug"]),
)
def test_a_line_of_a_request_is_the_line_of_the_general_code(text: str, format: str, level: str) -> None:
    stream = io.StringIO()
    logs.configure(format, "info", stream)
    fields = {"method": "GET", "path": text, "status": 200, "ms": 1.5, "client": text[::-1], "nothing": None}
    with structlog.contextvars.bound_contextvars(request_id=text, trace_id="t1"):
        log_line("access", "request", fields, level)
        getattr(logs.logger("access"), level)("request", **fields)
    written = [TIMESTAMP.sub("T", line) for line in stream.getvalue().splitlines()]
    assert written == ([written[0]] * 2 if level == "info" else [])


def test_secrets_in_the_details_of_an_entry_are_masked() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    log_line("audit", "update", {"changes": [{"url": f"https://x.example/?signature={SECRET}"}]})
    log_line("audit", "update", {"url": f"https://x.example/?signature={SECRET}"})
    assert SECRET not in stream.getvalue()
    assert [line["logger"] for line in lines(stream)] == ["audit", "audit"]


def test_the_lines_of_both_codes_are_in_order() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    for number in range(20):
        log_line("access", "request", {"number": number})
        logs.logger("service").info("it happened", number=number)
    written = lines(stream)
    assert [line["number"] for line in written] == [number for number in range(20) for _ in range(2)]
    assert [line["timestamp"] for line in written] == sorted(line["timestamp"] for line in written)


def test_a_line_that_cannot_be_written_raises_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    stream.close()
    log_line("access", "request", {"path": "/"})
    assert "ValueError: I/O operation on closed file" in capsys.readouterr().err


def test_libraries_do_not_log_every_request() -> None:
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    for name in ("httpx", "uvicorn.error", "uvicorn.access", "websockets.server", "botocore.auth", "pymongo.command"):
        logging.getLogger(name).info("GET https://x.example/?signature=abc")
    assert stream.getvalue() == ""


def test_lines_below_the_level_are_not_logged() -> None:
    stream = io.StringIO()
    logs.configure("json", "warning", stream)
    logs.logger("service").info("not this")
    logging.getLogger("library").info("nor this")
    logs.logger("service").warning("but this")
    assert [line["event"] for line in lines(stream)] == ["but this"]


def test_console_lines_are_readable() -> None:
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    logs.logger("service").info("it happened", count=3)
    assert "it happened" in stream.getvalue()
    assert "count=3" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(
    ("step", "state", "reason", "event", "level"),
    [
        ("finalizing", State.STORED, None, "recording stored", "info"),
        ("finalizing", State.FAILED, Reason.NOT_AUDIO, "recording failed", "warning"),
        ("finalizing", State.DISCARDED, Reason.TOO_SHORT, "recording discarded", "warning"),
        ("recording", State.FINALIZING, None, "recording ended", "info"),
        ("finalizing", State.LOST, Reason.RECORDER_GONE, "recording lost", "warning"),
        ("stored", State.TRASHED, None, "recording trashed", "info"),
        ("trashed", State.PURGED, None, "recording purged", "info"),
        ("recover", State.FINALIZING, None, "recording recovered", "info"),
        ("stored", State.STORED, None, "step finished", "info"),
    ],
)
def test_the_line_of_a_step_says_what_happened_without_empty_fields(
    step: str, state: State, reason: Reason | None, event: str, level: str
) -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    recording = Recording(
        id="202611-1",
        account_id="a" * 32,
        state=state,
        start=1,
        created=1,
        modified=1,
        call_id="c1",
        from_="1001",
        to="1002",
        reason=reason,
    )
    LogReporter().moved(recording, step)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["state"], line["step"]) == (event, level, state.value, step)
    assert line.get("reason") == (reason and reason.value)
    assert None not in line.values()


def test_console_lines_contain_no_control_characters() -> None:
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    evil = "/x\x1b[2J\nrequest forged\r\x85\u2028\u202e\x00"
    logs.logger("service").info("request", path=evil, client=[evil])
    logging.getLogger("library").warning("it ended: %s", evil)
    logs.logger("service").error("it failed", exc_info=ValueError(evil))
    first, second, third, *trace = stream.getvalue().split("\n")
    assert "request" in first
    assert "it ended: /x\\x1b[2J\\nrequest forged\\r\\x85\\u2028\\u202e\\x00" in second
    assert "it failed" in third
    # The traceback keeps its line breaks; the error message has none.
    assert any(line.startswith("ValueError: /x\\x1b[2J") for line in trace)
    assert all(line.isprintable() for line in (first, second, third, *trace))
