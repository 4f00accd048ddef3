"""The settings of an account: its name, media store, phone numbers, realm, and retention rules.

These use cases have no principal. Anyone who can open the store on the server's own machine may use them, as in
`recordings.use_cases.accounts`.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from recordings.model.account import Account, Principal
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import Conflict, InvalidInput, NotFound
from recordings.model.events import Retained
from recordings.model.fields import RecordingRow
from recordings.model.ids import MAX_ID, is_hex_id
from recordings.model.instants import Millis, to_iso
from recordings.model.options import MAX_URL
from recordings.model.query import MAX_PAGE, UNLIMITED, Order, OrderField, PageRequest, Position, Query, position_of
from recordings.model.quota import MAX_QUOTA, Quota, QuotaKind
from recordings.model.realm import check_realm
from recordings.model.recording import IN_PROGRESS, Shelf, State
from recordings.model.retention import Retention, check_label, check_rules, delete_at, retention_end
from recordings.model.retention_run import RetentionRun
from recordings.ports.account_stores import RealmTaken
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.accounts import check_account_name, realm_taken
from recordings.use_cases.save_event import MAX_TRIES, RecordingWriter

Progress = Callable[[str, int, int | None], None]
"""Called after each page: the kind of item, the number of finished items, and the total number."""

MAX_NUMBERS: Final = 100
_NUMBER: Final = re.compile(r"\+?[0-9]{3,15}")
"""E.164 has at most 15 digits."""
_FIELDS: Final = frozenset({"id", "state", "start", "label", "hold", "delete_at"})
_LATER: Final = IN_PROGRESS | {State.FINALIZING}
"""The states before storing. Such a recording gets its `delete_at` when it is stored, by the rules at that time."""


@dataclass(slots=True)
class RetentionEffect:
    """The effect of retention rules on the recordings of an account, as counts.

    - `seen`: all recordings that were checked.
    - `changed`: they get another `delete_at`. `dates` counts them by day (UTC).
    - `for_good`: the changed ones that are now kept forever.
    - `at_once`: the changed ones whose retention is over. They go to the trash.
    - `held`: the changed ones with a legal hold. They are not deleted.
    """

    seen: int = 0
    changed: int = 0
    for_good: int = 0
    at_once: int = 0
    held: int = 0
    dates: Counter[str] = field(default_factory=Counter)

    def note(self, row: RecordingRow, at: Millis | None, now: Millis) -> None:
        """Count a recording that gets another `delete_at`."""
        self.changed += 1
        self.held += row["hold"] is not None
        if at is None:
            self.for_good += 1
            return
        self.dates[to_iso(at)[:10]] += 1
        self.at_once += at <= now and row["hold"] is None


def live_recordings(account_id: str) -> Query:
    """Return the query for the recordings to which rules apply, in the order of their creation."""
    return Query(account_id=account_id, shelf=Shelf.LIVE, order=Order(OrderField.CREATED, descending=False))


class AccountSettings:
    """Changes account settings. New retention rules apply to existing recordings, page by page. A retry is safe."""

    def __init__(self, store: MetadataStore, clock: Clock, audit: Audit, principal: Principal | None = None) -> None:
        """`principal` is the caller for the audit trail; `None` is the operator."""
        self._principal = principal
        self._audit = audit
        self._store = store
        self._writer = RecordingWriter(store)
        self._clock = clock

    async def amend(
        self,
        account_id: str,
        *,
        name: str | None = None,
        media: str | None = None,
        numbers: Sequence[str] | None = None,
        realm: str | None = None,
        quota: Mapping[str, int | None] | None = None,
    ) -> Account:
        """Change the name, the media store for new audio, the phone numbers, or the realm. Return the changed account.

        An empty `media` means the installation's own media store. An empty `realm` means the default realm. A new realm
        does not change the recordings that exist. `quota` has the quotas to set, by name; `None` removes one.

        Raises:
            InvalidInput: the name, a number, a quota or the realm is not valid, or the media URL is not absolute or
                contains a password.
            InvalidState: another account has the realm.
            NotFound: there is no such account.
        """
        account = await self._account(account_id)
        if name is not None:
            check_account_name(name)
            account = replace(account, name=name)
        if media is not None:
            account = replace(account, media=check_media_url(media) or None)
        if numbers is not None:
            account = replace(account, numbers=check_numbers(numbers))
        if realm is not None:
            account = replace(account, sip_realm=check_realm(realm) if realm else None)
        if quota is not None:
            account = replace(account, quota=changed_quota(account.quota, quota))
        given = {"name": name, "media": media, "numbers": numbers, "realm": realm, "quota": quota}
        target = AuditObject("account", account.id, account.id)
        fields = [each for each, value in given.items() if value is not None]
        await self._audit.record(self._principal, AuditAction.ACCOUNT, target, change="amend", fields=fields)
        with Refusals(self._audit, self._principal, AuditAction.ACCOUNT, target):
            try:
                await self._store.save_account(account)
            except RealmTaken as error:
                raise realm_taken(account.realm) from error
        return account

    async def rules(self, account_id: str) -> Sequence[Retention]:
        """Return the rules of an account; the rule for all labels is first. `NotFound` if there is no such account."""
        return (await self._account(account_id)).retention

    async def set_rule(
        self,
        account_id: str,
        rule: Retention,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
        in_background: bool = False,
    ) -> RetentionEffect:
        """Set the rule for a label, or for all labels without a rule. Apply it to the existing recordings.

        With `in_background`, a server applies it, and this returns at once.

        Raises:
            Conflict: a recording kept changing. The recordings before it are done; set the rule again.
            InvalidInput: the label or the number of days is not allowed, or there are too many rules.
            NotFound: there is no such account.
        """
        check_label(rule.label)
        account = await self._account(account_id)
        others = [found for found in account.retention if found.label != rule.label]
        return await self._apply(account, check_rules([*others, rule]), dry_run, progress, in_background)

    async def clear_rule(
        self,
        account_id: str,
        label: str | None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
        in_background: bool = False,
    ) -> RetentionEffect:
        """Remove the rule for a label. Apply the remaining rules to the existing recordings, as `set_rule` does.

        Raises:
            Conflict: as in `set_rule`.
            NotFound: there is no such account or no such rule.
        """
        account = await self._account(account_id)
        others = tuple(found for found in account.retention if found.label != label)
        if len(others) == len(account.retention):
            message = f"there is no rule for {'all labels' if label is None else repr(label[:MAX_ID])}"
            raise NotFound(message, path=("label",))
        return await self._apply(account, others, dry_run, progress, in_background)

    async def _account(self, account_id: str) -> Account:
        found = await self._store.account(account_id) if is_hex_id(account_id) else None
        if found is None:
            message = f"there is no account {account_id[:MAX_ID]!r}"
            raise NotFound(message, path=("account",))
        return found

    async def begin_run(self, account_id: str) -> RetentionRun:
        """Let a server apply the rules of an account to its existing recordings, from the first one on."""
        now = self._clock.now()
        for _ in range(MAX_TRIES):
            before = await self._store.retention_run(account_id)
            revision = 0 if before is None else before.revision + 1
            run = RetentionRun(account_id=account_id, started=now, revision=revision)
            if await self._store.save_retention_run(run, None if before is None else before.revision):
                return run
        message = f"the retention of account {account_id} keeps changing: try again"
        raise Conflict(message)

    async def run_of(self, account_id: str) -> RetentionRun | None:
        """Return how far the rules of an account are applied. Raise `NotFound` if there is no such account."""
        return await self._store.retention_run((await self._account(account_id)).id)

    async def _apply(
        self,
        account: Account,
        rules: tuple[Retention, ...],
        dry_run: bool,  # noqa: FBT001 - private
        progress: Progress | None,
        in_background: bool,  # noqa: FBT001 - private
    ) -> RetentionEffect:
        effect = RetentionEffect()
        if not dry_run:
            target = AuditObject("account", account.id, account.id)
            days = [[rule.label, rule.days] for rule in rules]
            await self._audit.record(self._principal, AuditAction.RETENTION, target, rules=days)
            # The rules are saved first, so recordings that are stored from now on follow them. And the count below may
            # take long: saving after it could overwrite another change of the account.
            await self._store.save_account(replace(account, retention=rules))
            if in_background:
                await self.begin_run(account.id)
                return effect
        total = (await self._store.count(live_recordings(account.id), UNLIMITED)).number
        after = None
        while True:
            after = await self.apply_page(account, rules, after, effect, dry_run=dry_run)
            if progress is not None and effect.seen:
                progress("recordings", effect.seen, max(total, effect.seen))
            if after is None:
                return effect

    async def apply_page(
        self,
        account: Account,
        rules: Sequence[Retention],
        after: Position | None,
        effect: RetentionEffect,
        *,
        dry_run: bool = False,
    ) -> Position | None:
        """Apply rules to the page of recordings after a position. Return the position of its end if more follow."""
        query = live_recordings(account.id)
        page = await self._store.page(query, PageRequest(limit=MAX_PAGE, after=after, fields=_FIELDS))
        for row in page.rows:
            at = retention_end(rules, row["label"], row["start"])
            if State(row["state"]) in _LATER or at == row["delete_at"]:
                continue
            if dry_run or await self._retain(row["id"], rules):
                effect.note(row, at, self._clock.now())
        effect.seen += len(page.rows)
        return position_of(query.order, page.rows[-1]) if page.has_more else None

    async def _retain(self, recording_id: str, rules: Sequence[Retention]) -> bool:
        recording = await self._store.load(recording_id)
        if recording is None:
            return False
        event = Retained(at=self._clock.now(), delete_at=delete_at(rules, recording))
        # If the recording was deleted since the page was read, it keeps its date.
        return (await self._writer.save_event(recording, event)).delete_at != recording.delete_at


def check_media_url(url: str) -> str:
    """Check the URL of a media store and return it. An empty text means none.

    Raises:
        InvalidInput: it is not an absolute URL, or it can contain a secret: a user, a password, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        plain = bool(parts.scheme) and "@" not in parts.netloc and not parts.query and not parts.fragment
    except ValueError:
        plain = False
    if url and not (plain and "://" in url and len(url) <= MAX_URL and url.isprintable() and " " not in url):
        raise InvalidInput.of(("media",), "pattern", url, "an absolute URL without user, password, query and fragment")
    return url


def changed_quota(quota: Quota, changes: Mapping[str, int | None]) -> Quota:
    """Return a quota with changes. Raise `InvalidInput` for an unknown name or a number that is not allowed."""
    names = [kind.value for kind in QuotaKind]
    for name, limit in changes.items():
        if name not in names:
            raise InvalidInput.of(("quota",), "enum", name, f"one of {', '.join(names)}")
        if limit is not None and not 0 <= limit <= MAX_QUOTA:
            raise InvalidInput.of(("quota", name), "maximum", limit, f"an integer from 0 to {MAX_QUOTA}")
    return replace(quota, **changes)


def check_numbers(numbers: Sequence[str]) -> tuple[str, ...]:
    """Check phone numbers and return them.

    Raises:
        InvalidInput: a number is not valid, or there are too many.
    """
    if len(numbers) > MAX_NUMBERS:
        raise InvalidInput.of(("numbers",), "maxItems", len(numbers), f"at most {MAX_NUMBERS} numbers")
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise InvalidInput.of(("numbers",), "pattern", number, "3 to 15 digits, with an optional plus in front")
    return tuple(numbers)
