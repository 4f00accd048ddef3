"""A repeated error is logged once a minute, with the number of repetitions."""

import errno
from typing import Any

from graph.server.error_log import SECONDS, ErrorLog
from recordings.ports.audio import MediaStoreUnavailableError


class Lines:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))


def test_thirty_equal_errors_are_one_line_a_minute() -> None:
    lines, now = Lines(), [0.0]
    log = ErrorLog(lines, now=lambda: now[0])
    for number in range(30):
        log.write("step failed", MediaStoreUnavailableError(f"rejected, request {number}"), recording_id=str(number))
    assert lines.lines == [("step failed", {"recording_id": "0", "error": "rejected, request 0"})]
    now[0] = SECONDS
    log.write("step failed", MediaStoreUnavailableError("rejected"), recording_id="x")
    assert lines.lines[1] == ("step failed", {"recording_id": "x", "error": "rejected", "repeated": 29})


def test_other_errors_and_other_events_have_their_own_lines() -> None:
    lines = Lines()
    log = ErrorLog(lines)
    log.write("step failed", MediaStoreUnavailableError("rejected"))
    log.write("claim failed", MediaStoreUnavailableError("rejected"))
    log.write("step failed", OSError(errno.ENOSPC, "No space left on device"))
    log.write("step failed", ValueError("wrong"))
    log.write("step failed", ValueError("wrong"))
    log.write("step failed", ValueError("another"))
    assert [event for event, _fields in lines.lines] == ["step failed", "claim failed", *["step failed"] * 3]
    assert ["exc_info" in fields for _event, fields in lines.lines] == [False, False, False, True, True]
