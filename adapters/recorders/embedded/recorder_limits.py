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
    account_share: int = 80
    """How many percent of the uploads, the streams and the disk one account can use; of the first two, also one client
    address. The rest is for accounts that use few. A further upload is rejected with 429, a stream with 1013."""
    min_speed: int = 200
    """How many bytes per second an upload must send on average. A slower one is incomplete (408). The time in
    which this server does not read does not count."""
    speed_window: float = 20
    """The time over which the speed of an upload is measured."""
    body_idle: float = 60
    """How long an upload may send no data. After that it is incomplete (408)."""
    body_total: float = 3_600
    """How long an upload may take in total. After that it is incomplete (408)."""
    max_streams: int = 250
    """Maximum number of media streams at once. A further stream is closed with 1013. One CPU core can handle this many,
    as measured by `bench/recorder.py`."""
    first_message: float = 5
    """How long a stream may send nothing after it is opened. After that it is closed with 1008."""
    stream_start: float = 10
    """How long a stream may take until it says of which call it is. After that it is closed with 1008."""
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
