"""The meaning of a receiver's response."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.delivery.http_outcome import MAX_WAIT, printable_text, result_of_response, retry_after
from recordings.ports.courier import DeliveryOutcome

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_status_is_success(status: int) -> None:
    assert result_of_response(status, {}, "", NOW).outcome is DeliveryOutcome.DELIVERED


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504])
def test_temporary_errors_are_retried(status: int) -> None:
    result = result_of_response(status, {}, "why", NOW)
    assert (result.outcome, result.error) == (DeliveryOutcome.RETRY, f"the server answered {status}: why")


@pytest.mark.parametrize("status", [303, 400, 405, 410, 413, 415, 422, 501])
def test_permanent_errors_are_not_retried(status: int) -> None:
    assert result_of_response(status, {"Retry-After": "5"}, "", NOW).outcome is DeliveryOutcome.REJECTED


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0),
        (" 120 ", 120_000),
        ("9" * 40, MAX_WAIT),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90_000),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 22 Nov 2099 12:00:00 GMT", MAX_WAIT),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, wait: int | None) -> None:
    assert retry_after(value, NOW) == wait
    assert result_of_response(503, {"Retry-After": value} if value else {}, "", NOW).retry_after == wait


@given(st.text(max_size=40))
def test_every_wait_is_bounded(value: str) -> None:
    wait = retry_after(value, NOW)
    assert wait is None or 0 <= wait <= MAX_WAIT


def test_the_text_of_a_response_is_one_line_without_secrets() -> None:
    url = "https://user:p%40ss@h.example/in?token=abc%20def&x=1"
    body = b"PUT /in?token=abc%20def&x=1\r\n\x00 by p@ss (p%40ss): token was abc def" + b"!" * 500
    text = printable_text(body, url)
    assert "p@ss" not in text
    assert "p%40ss" not in text
    assert "abc" not in text
    assert text.isprintable()
    assert len(text) == 300
    assert printable_text(b"\xff\xfe", url).isprintable()
