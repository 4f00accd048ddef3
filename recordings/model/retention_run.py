"""The application of new retention rules to the existing recordings of an account, in the background."""

from dataclasses import dataclass

from recordings.model.instants import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRun:
    """How far the rules of an account are applied.

    `seen` recordings of `total` are checked, in the order of their creation. The last one is at `after` (its `created`
    and id). `changed` of them have another `delete_at`, and `at_once` of these are deleted now. `holder` works on it
    until `until`. Every save increases `revision`.
    """

    account_id: str
    started: Millis
    total: int | None = None
    seen: int = 0
    changed: int = 0
    at_once: int = 0
    after: tuple[Millis, str] | None = None
    finished: Millis | None = None
    holder: str | None = None
    until: Millis = 0
    revision: int = 0
