"""How much the embedded recorder takes of anything."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what is handed in. Times in seconds, sizes in bytes."""

    max_body: int = 512 * 1024 * 1024
    """The longest file; a longer one is 413 and leaves nothing."""
    max_uploads: int = 100
    """Files that come in at once; one more is 503."""
    body_idle: float = 60
    """How long a sender of a file may say nothing; then it broke off (408)."""
    body_total: float = 3_600
    """How long a file may take in all; then it broke off (408)."""
    max_streams: int = 250
    """Media streams at once; one more is closed with 1013. What one core takes, by `bench/recorder.py`."""
    stream_idle: float = 60
    """How long a stream may send no audio; then it is closed with 1008 and its take ends as IDLE."""
    max_call_seconds: float = 4 * 3_600
    """How long a stream may go on; then it is closed with 1008 and its take ends as HANGUP."""
    still_allowed: float = 15
    """How often it is asked whether a stream's address still holds; one that was revoked is closed with 1008."""
    max_lead: float = 30
    """How far a stream's audio may be ahead of our clock before it is no longer read."""
    resume_lead: float = 10
    """How far ahead it may be when it is read again."""
