"""Actions on several recordings in one request. Each recording has a result of its own."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction
from recordings.model.errors import InvalidInput, Refused
from recordings.model.query import MAX_PAGE
from recordings.model.recording import Recording
from recordings.model.recording_changes import check_reason
from recordings.ports.parallel import Parallel
from recordings.rules.idempotency import check_key
from recordings.use_cases.recordings import Recordings

Result = Recording | Refused
"""The changed recording, or why it was not changed."""


class BulkActions:
    """Deletes, restores and holds recordings, at most 100 in one request.

    The results are in the order of the ids. A recording that is refused does not stop the others. An id that is given
    several times is changed once. Each recording remembers the idempotency key, as with a request for it alone.
    """

    def __init__(self, recordings: Recordings, parallel: Parallel) -> None:
        self._recordings = recordings
        self._parallel = parallel

    async def delete(
        self, principal: Principal, ids: Sequence[str], key: str | None = None, *, reason: str | None = None
    ) -> list[Result]:
        """Put recordings into the trash: see `Recordings.delete`."""
        self._recordings.require(principal, Scope.DELETE, AuditAction.DELETE)
        if reason is not None:
            check_reason(reason)
        return await self._for_each(ids, key, lambda each: self._recordings.delete(principal, each, key, reason=reason))

    async def restore(self, principal: Principal, ids: Sequence[str], key: str | None = None) -> list[Result]:
        """Take recordings out of the trash: see `Recordings.restore`."""
        self._recordings.require(principal, Scope.DELETE, AuditAction.RESTORE)
        return await self._for_each(ids, key, lambda each: self._recordings.restore(principal, each, key))

    async def hold(self, principal: Principal, ids: Sequence[str], reason: str, key: str | None = None) -> list[Result]:
        """Place a legal hold on recordings: see `Recordings.hold`."""
        self._recordings.require(principal, Scope.ADMIN, AuditAction.HOLD)
        check_reason(reason)
        return await self._for_each(ids, key, lambda each: self._recordings.hold(principal, each, reason, key))

    async def _for_each(
        self, ids: Sequence[str], key: str | None, act: Callable[[str], Awaitable[Recording]]
    ) -> list[Result]:
        if len(ids) > MAX_PAGE:
            raise InvalidInput.of(("ids",), "maxItems", len(ids), f"at most {MAX_PAGE} ids")
        check_key(key)
        distinct = list(dict.fromkeys(ids))
        done = await self._parallel([partial(act, recording_id) for recording_id in distinct])
        results: dict[str, Result] = {}
        for recording_id, result in zip(distinct, done, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, Refused):
                # A fault of the store. The others are done by now, and the request can be repeated with its key.
                raise result
            results[recording_id] = result
        return [results[recording_id] for recording_id in ids]
