"""Why a call was recorded, and the consent of its parties: the parts of a recording that a policy sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from recordings.model.instants import Millis


class PolicySource(StrEnum):
    """The setting that decided whether a call is recorded."""

    LOCK = "LOCK"
    REQUEST = "REQUEST"
    DEVICE = "DEVICE"
    USER = "USER"
    ENDPOINT_DEFAULT = "ENDPOINT_DEFAULT"
    ACCOUNT = "ACCOUNT"
    DEFAULT = "DEFAULT"
    """No setting: the call is not recorded."""


class Fill(StrEnum):
    """The meaning of a cell that a document does not have."""

    COMPATIBLE = "COMPATIBLE"
    """Off, as in Kazoo, if the document has any cell."""
    INHERIT = "INHERIT"
    """The same as in the document above."""


class Decision(StrEnum):
    """The decision about a call, or about one cell."""

    RECORD = "RECORD"
    DO_NOT_RECORD = "DO_NOT_RECORD"


class ConsentNeed(StrEnum):
    """The consent that an account needs before it records a call."""

    NOT_NEEDED = "NOT_NEEDED"
    NOTICE = "NOTICE"
    ALL_PARTIES = "ALL_PARTIES"


class ConsentState(StrEnum):
    """The answer of the parties."""

    WAITING = "WAITING"
    GIVEN = "GIVEN"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Consent:
    """The consent to a recording. `at` and `by` are the time and the source of the answer."""

    need: ConsentNeed
    state: ConsentState
    at: Millis
    by: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the consent of a row."""
        return cls(ConsentNeed(row["need"]), ConsentState(row["state"]), row["at"], row["by"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTrace:
    """The decision that started a recording.

    - `source`: the setting that decided. `document_id` and `revision` name its document, and `cell` its cell, such as
      `inbound.offnet`.
    - `reasons`: every setting that asked for the recording, such as `user.inbound.offnet`.
    - `locked`: whether a lock forces the recording.
    - `fill`: how the document treats the cells that it does not have.
    - `part`: empty, or the name of the second recording of the call if its policies record separately.
    """

    source: PolicySource
    evaluated_at: Millis
    document_id: str | None = None
    revision: int | None = None
    cell: str | None = None
    decision: Decision = Decision.RECORD
    fill: Fill | None = None
    reasons: tuple[str, ...] = ()
    locked: bool = False
    part: str = ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the decision of a row."""
        typed = {
            "source": PolicySource(row["source"]),
            "decision": Decision(row["decision"]),
            "fill": None if row["fill"] is None else Fill(row["fill"]),
            "reasons": tuple(row["reasons"]),
        }
        return cls(**{**row, **typed})
