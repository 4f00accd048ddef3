"""The context of one request: everything that its resolvers use."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graph.execution.examined_rows import ExaminedRows
from graph.execution.run_parallel import run_parallel
from graph.policy_use_cases import PolicyUseCases
from recordings.model.account import Account, Principal
from recordings.model.fields import RecordingRow
from recordings.model.instants import Millis
from recordings.model.query import MAX_PAGE
from recordings.model.recording import Media
from recordings.ports.clock import Clock
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants, requester_of
from recordings.use_cases.account_secrets import AccountSecrets
from recordings.use_cases.administration import Administration
from recordings.use_cases.audit_log import AuditLog
from recordings.use_cases.bulk_actions import BulkActions
from recordings.use_cases.call_feed import CallFeed
from recordings.use_cases.event_feed import EventFeed
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.webhooks import Webhooks

Draw = Callable[[str, Media, int, str], Awaitable[Mapping[str, Any]]]
"""Returns a waveform. Arguments: recording id, its media, width in pixels, id of the caller's account.

It raises `Refused` if there is none.
"""
Presign = Callable[[Principal, Sequence[RecordingRow]], Awaitable[Mapping[str, str]]]
"""Returns the media store's own signed URLs for a caller, by recording id. Rows without such a URL are left out."""


# Not frozen: that makes each of the many fields three times as expensive, for each request.
@dataclass(kw_only=True, eq=False)
class Context:
    """The caller, the use cases, and the results that were prefetched for the response.

    `locate` returns the URL under which clients reach this service; media URLs begin with it. `max_page` is the largest
    number of recordings in one page or one list of ids. `since` is the place at which the transport of a subscription
    continues it. `examined` counts rows for the cost. `presigned`, `waveforms`
    and `accounts` hold prefetched results: see `graph.schema.prefetch`. A waveform that could not be drawn is an
    exception there.
    """

    principal: Principal
    recordings: Recordings
    cursors: Cursors
    grants: Grants
    clock: Clock
    locate: Callable[[], str]
    media_ttl: Millis
    draw: Draw | None = None
    presign: Presign | None = None
    policy_use_cases: PolicyUseCases | None = None
    account_secrets: AccountSecrets | None = None
    account_administration: Administration | None = None
    feed: EventFeed | None = None
    call_feed: CallFeed | None = None
    audit_log: AuditLog | None = None
    webhook_use_cases: Webhooks | None = None
    max_page: int = MAX_PAGE
    since: str | None = None
    examined: ExaminedRows = field(default_factory=ExaminedRows)
    presigned: dict[str, str] = field(default_factory=dict)
    waveforms: dict[tuple[str, int], Mapping[str, Any] | Exception] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)

    @cached_property
    def bulk(self) -> BulkActions:
        """The use cases for several recordings at once."""
        return BulkActions(self.recordings, run_parallel)

    @property
    def secrets(self) -> AccountSecrets:
        """The use cases for the secrets of accounts."""
        if self.account_secrets is None:
            raise RuntimeError("this API was made without secrets of accounts")
        return self.account_secrets

    @property
    def administration(self) -> Administration:
        """The use cases of an account's administrator."""
        if self.account_administration is None:
            raise RuntimeError("this API was made without the administration of accounts")
        return self.account_administration

    @property
    def audit(self) -> AuditLog:
        """The use cases of the audit trail."""
        if self.audit_log is None:
            raise RuntimeError("this API was made without an audit trail")
        return self.audit_log

    @property
    def policy(self) -> PolicyUseCases:
        """The use cases of recording policies and of consent."""
        if self.policy_use_cases is None:
            raise RuntimeError("this API was made without policies")
        return self.policy_use_cases

    @property
    def events(self) -> EventFeed:
        """The use cases of events."""
        if self.feed is None:
            raise RuntimeError("this API was made without events")
        return self.feed

    @property
    def calls(self) -> CallFeed:
        """The use cases of changes of live calls."""
        if self.call_feed is None:
            raise RuntimeError("this API was made without changes of live calls")
        return self.call_feed

    @property
    def webhooks(self) -> Webhooks:
        """The use cases of webhooks."""
        if self.webhook_use_cases is None:
            raise RuntimeError("this API was made without webhooks")
        return self.webhook_use_cases

    @cached_property
    def base_url(self) -> str:
        """The URL that media URLs begin with, without a `/` at its end."""
        return self.locate().rstrip("/")

    @cached_property
    def media_expires(self) -> Millis:
        """The expiry of the media URLs in this response: the same time for all of them."""
        return self.clock.now() + self.media_ttl

    @property
    def has_signed_urls(self) -> bool:
        """True if the response has a media URL: such a URL names the caller's credentials."""
        return "media_requester" in vars(self) or bool(self.presigned)

    @cached_property
    def media_requester(self) -> str:
        """The caller, as the media URLs in this response name it."""
        return requester_of(self.principal, self.clock.now())
