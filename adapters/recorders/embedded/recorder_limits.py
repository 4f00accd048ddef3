"""The limits of the embedded recorder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of uploads and streams. Times are in seconds, sizes in bytes."""

    max_body: int = 512 * 1024 * 1024
    """Maximum size of an uploaded file. A larger file is rejected with 413 and leaves nothing behind."""
    max_received: float = 24 * 3_600
    """Maximum length of the audio of an uploaded file. A file that is longer by its header, or by the sender's
    `duration_ms`, is rejected with 413. If only the audio shows it, the recording fails with the reason TOO_LONG."""
    max_uploads: int = 100
    """Maximum number of uploads at once. A further upload is rejected with 503."""
    body_idle: float = 60
    """How long an upload may send no data. After that it is incomplete (408)."""
    body_total: float = 3_600
    """How long an upload may take in total. After that it is incomplete (408)."""
    max_streams: int = 250
    """Maximum number of media streams at once. A further stream is closed with 1013. One CPU core can handle this many,
    as measured by `bench/recorder.py`."""
    stream_idle: float = 60
    """How long a stream may send no audio. After that it is closed with 1008 and its takes end as IDLE."""
    max_call_seconds: float = 4 * 3_600
    """How long a stream may last. After that it is closed with 1008 and its takes end as HANGUP."""
    reconnect: float = 10
    """How long the takes of a call wait for another stream, after a stream ended without `stop`. Then they end as
    DISCONNECTED."""
    revocation_check: float = 2
    """How often a stream's ingest address is checked. If it was revoked, the stream is closed with 1008."""
    max_lead: float = 30
    """How far a stream's audio may be ahead of this server's clock. If it is further ahead, reading stops."""
    resume_lead: float = 10
    """How far a stream's audio may be ahead of the clock when reading resumes."""
