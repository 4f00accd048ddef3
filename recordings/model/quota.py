"""The quotas of an account: how much it may store and use."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_QUOTA: Final = 2**53 - 1


class QuotaKind(StrEnum):
    """What a quota limits. The value is the name of the attribute of `Quota` and `Usage`.

    - `BYTES`: the stored audio, with the trash.
    - `RECORDINGS_PER_DAY`: the recordings that were created since midnight UTC.
    - `STREAMS`: the streams at the same time, on each server.
    - `UPLOADS`: the uploads at the same time, on each server.
    - `DECODING_SECONDS`: the seconds of audio, in recordings created since midnight UTC, that were decoded.
    """

    BYTES = "bytes"
    RECORDINGS_PER_DAY = "recordings_per_day"
    STREAMS = "streams"
    UPLOADS = "uploads"
    DECODING_SECONDS = "decoding_seconds"


STORED_KINDS: Final = (QuotaKind.BYTES, QuotaKind.RECORDINGS_PER_DAY, QuotaKind.DECODING_SECONDS)
"""The quotas that each new recording must meet."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The quotas of an account. `None` means no limit."""

    bytes: int | None = None
    recordings_per_day: int | None = None
    streams: int | None = None
    uploads: int | None = None
    decoding_seconds: int | None = None

    def of(self, kind: QuotaKind) -> int | None:
        """Return the quota of a kind."""
        limit: int | None = getattr(self, kind.value)
        return limit

    def as_mapping(self) -> Mapping[str, int]:
        """Return the quotas that are set, by name."""
        return {kind.value: limit for kind in QuotaKind if (limit := self.of(kind)) is not None}


NO_QUOTA: Final = Quota()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an account uses now, in the units of its quotas. `streams` and `uploads` are those of this server."""

    bytes: int
    recordings_per_day: int
    streams: int
    uploads: int
    decoding_seconds: int

    def of(self, kind: QuotaKind) -> int:
        """Return the usage of a kind."""
        used: int = getattr(self, kind.value)
        return used
