"""Log lines: one form for all, and no secret in any."""

import io
import json
import logging
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from graph.server import log_setup as logs
from graph.server.audit_log import LogAudit
from recordings.model.account import Principal

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhY2NvdW50X2lkIjoieCJ9.c2lnbmF0dXJl-_"
SECRET = "0123456789abcdef" * 4
ADDRESS = "ab" * 16


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
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    masked = logs.scrub(text)
    for secret in (SECRET, SECRET[:32], TOKEN, "another-secret-word", "1795343139139"):
        assert secret not in masked
    assert "***" in masked


PIECES = ["/ingest/", "/", "?", "&", "=", "a", ".", "-", "://", "@", " ", '"', "eyJ", TOKEN, SECRET, SECRET[1:], "\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_one_look_finds_what_each_pattern_would(text: str) -> None:
    masked = text
    for pattern, mask in logs._SECRETS:
        masked = pattern.sub(mask, masked)
    assert logs.scrub(text) == masked


@pytest.mark.parametrize("text", ["202611-01a20293314d7bd0998266b00a0c8062", "local:ab/x.mp3", "no such file: /data/x"])
def test_what_is_none_is_left(text: str) -> None:
    assert logs.scrub(text) == text


def test_lines_of_ours_and_of_libraries_have_one_form() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logs.logger("ours").info("it happened", count=3)
        logging.getLogger("theirs").warning("also %s", "this")
    ours, theirs = lines(stream)
    assert (ours["event"], ours["count"], ours["level"], ours["request_id"]) == ("it happened", 3, "info", "r1")
    assert (theirs["event"], theirs["level"], theirs["request_id"]) == ("also this", "warning", "r1")
    assert ours["timestamp"] < theirs["timestamp"]


def test_secrets_are_masked_wherever_they_stand() -> None:
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    log = logs.logger("ours")
    log.info(TOKEN, nested={"header": [TOKEN]}, path=f"/ingest/x/{SECRET}")
    logging.getLogger("theirs").info("request %s", f"/media/x?signature={SECRET}")
    log.error("it failed", exc_info=ValueError(TOKEN))
    logging.getLogger("theirs").error("it failed", exc_info=ValueError(SECRET))
    assert "ValueError" in stream.getvalue()
    assert TOKEN not in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_libraries_that_tell_of_every_request_are_quiet() -> None:
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    for name in ("httpx", "uvicorn.error", "uvicorn.access", "websockets.server", "botocore.auth", "pymongo.command"):
        logging.getLogger(name).info("GET https://x.example/?signature=abc")
    assert stream.getvalue() == ""


def test_the_least_level_counts() -> None:
    stream = io.StringIO()
    logs.configure("json", "warning", stream)
    logs.logger("ours").info("not this")
    logging.getLogger("theirs").info("nor this")
    logs.logger("ours").warning("but this")
    assert [line["event"] for line in lines(stream)] == ["but this"]


def test_on_a_terminal_lines_are_for_people() -> None:
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    logs.logger("ours").info("it happened", count=3)
    assert "it happened" in stream.getvalue()
    assert "count=3" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_who_did_what_is_a_line() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    LogAudit().record(Principal("a" * 32, frozenset(), "ada", "app"), "start", "202611-1", call_id="c1")
    (line,) = lines(stream)
    assert (line["logger"], line["event"], line["who"], line["owner"]) == ("audit", "start", "app", "ada")
    assert (line["recording"], line["call_id"]) == ("202611-1", "c1")


def test_a_line_on_a_terminal_is_one_line_and_no_command() -> None:
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    evil = "/x\x1b[2J\nrequest forged\r\x85\u2028\u202e\x00"
    logs.logger("ours").info("request", path=evil, client=[evil])
    logging.getLogger("theirs").warning("it ended: %s", evil)
    logs.logger("ours").error("it failed", exc_info=ValueError(evil))
    first, second, third, *trace = stream.getvalue().split("\n")
    assert "request" in first
    assert "it ended: /x\\x1b[2J\\nrequest forged\\r\\x85\\u2028\\u202e\\x00" in second
    assert "it failed" in third
    # A traceback has its lines, and of what was raised so many more.
    assert any(line.startswith("ValueError: /x\\x1b[2J") for line in trace)
    assert all(line.isprintable() for line in (first, second, third, *trace))
