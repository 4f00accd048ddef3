"""What an account decides of its recordings: where new audio goes, and for how long recordings are kept.

As in `recordings.use_cases.accounts`, whoever can open the store on the server's own machine may do this.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from recordings.model.account import Account
from recordings.model.errors import InvalidInput, NotFound
from recordings.model.events import Retained
from recordings.model.fields import RecordingRow
from recordings.model.ids import MAX_ID, is_hex_id
from recordings.model.instants import Millis, to_iso
from recordings.model.options import MAX_URL
from recordings.model.query import MAX_PAGE, Order, OrderField, PageRequest, Query, position_of
from recordings.model.recording import IN_PROGRESS, Shelf, State
from recordings.model.retention import Retention, check_rules, date_of, delete_at
from recordings.ports.process import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.accounts import MAX_NAME
from recordings.use_cases.save_event import RecordingWriter

Progress = Callable[[str, int, int | None], None]
"""Told after each page: what is looked at, how many were, and of how many."""

MAX_NUMBERS: Final = 100
_NUMBER: Final = re.compile(r"\+?[0-9]{3,15}")
"""E.164 has at most 15 digits."""
_FIELDS: Final = frozenset({"id", "state", "start", "label", "hold", "delete_at"})
_LATER: Final = IN_PROGRESS | {State.FINALIZING}
"""What gets its date when it is stored, by the rules of then."""


@dataclass(slots=True)
class Outcome:
    """What rules come to for the recordings that an account has.

    Of all those `seen`, `changed` get another date than they had: `dates` counts them by day (UTC), `for_good` are
    those that get none. Of the changed, `at_once` are over already and go to the trash, unless they are `held`.
    """

    seen: int = 0
    changed: int = 0
    for_good: int = 0
    at_once: int = 0
    held: int = 0
    dates: Counter[str] = field(default_factory=Counter)

    def note(self, row: RecordingRow, at: Millis | None, now: Millis) -> None:
        """Count a recording that gets another date."""
        self.changed += 1
        self.held += row["hold"] is not None
        if at is None:
            self.for_good += 1
            return
        self.dates[to_iso(at)[:10]] += 1
        self.at_once += at <= now and row["hold"] is None


class AccountSettings:
    """Sets what accounts decide. Rules are applied to what is there, page by page; doing it again is safe."""

    def __init__(self, store: MetadataStore, clock: Clock) -> None:
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
    ) -> Account:
        """The account with another name, another place for new audio, or other phone numbers.

        An empty `media` is the installation's own.

        Raises:
            InvalidInput: the name is none, the place no absolute URL without a password, or a number is none.
            NotFound: there is no such account.
        """
        account = await self._account(account_id)
        if name is not None:
            if not 0 < len(name) <= MAX_NAME or not name.isprintable():
                raise InvalidInput.of(("name",), "maxLength", name, f"1 to {MAX_NAME} printable characters")
            account = replace(account, name=name)
        if media is not None:
            account = replace(account, media=check_place(media) or None)
        if numbers is not None:
            account = replace(account, numbers=check_numbers(numbers))
        await self._store.save_account(account)
        return account

    async def rules(self, account_id: str) -> Sequence[Retention]:
        """The rules of an account, the one for all labels first. `NotFound` without such an account."""
        return (await self._account(account_id)).retention

    async def set_rule(
        self, account_id: str, rule: Retention, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Outcome:
        """Set the rule for a label (or for all that have none of their own), and give recordings their dates by it.

        Raises:
            Conflict: a recording kept changing. Those before it have their dates; the rule can be set again.
            InvalidInput: the days are out of bounds, or there are too many rules.
            NotFound: there is no such account.
        """
        account = await self._account(account_id)
        others = [found for found in account.retention if found.label != rule.label]
        return await self._apply(account, check_rules([*others, rule]), dry_run, progress)

    async def clear_rule(
        self, account_id: str, label: str | None, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Outcome:
        """Take the rule for a label away, and give recordings their dates by those that are left.

        Raises:
            Conflict: as in `set_rule`.
            NotFound: there is no such account, or no such rule.
        """
        account = await self._account(account_id)
        others = tuple(found for found in account.retention if found.label != label)
        if len(others) == len(account.retention):
            message = f"there is no rule for {'all labels' if label is None else repr(label[:MAX_ID])}"
            raise NotFound(message, path=("label",))
        return await self._apply(account, others, dry_run, progress)

    async def _account(self, account_id: str) -> Account:
        found = await self._store.account(account_id) if is_hex_id(account_id) else None
        if found is None:
            message = f"there is no account {account_id[:MAX_ID]!r}"
            raise NotFound(message, path=("account",))
        return found

    async def _apply(
        self,
        account: Account,
        rules: tuple[Retention, ...],
        dry_run: bool,  # noqa: FBT001 - of this class alone
        progress: Progress | None,
    ) -> Outcome:
        query = Query(account_id=account.id, shelf=Shelf.LIVE, order=Order(OrderField.CREATED, descending=False))
        outcome = Outcome()
        if not dry_run:
            # First of all: what is stored from now on gets its date by these. And nobody else decides anything of this
            # account meanwhile, that would be lost: to count may take long.
            await self._store.save_account(replace(account, retention=rules))
        total = await self._store.count(query)
        async for rows in self._pages(query):
            for row in rows:
                at = date_of(rules, row["label"], row["start"])
                if State(row["state"]) in _LATER or at == row["delete_at"]:
                    continue
                if dry_run or await self._retain(row["id"], rules):
                    outcome.note(row, at, self._clock.now())
            outcome.seen += len(rows)
            if progress is not None:
                progress("recordings", outcome.seen, max(total, outcome.seen))
        return outcome

    async def _pages(self, query: Query) -> AsyncIterator[Sequence[RecordingRow]]:
        after = None
        while True:
            page = await self._store.page(query, PageRequest(limit=MAX_PAGE, after=after, fields=_FIELDS))
            if page.rows:
                yield page.rows
            if not page.has_more:
                return
            after = position_of(query.order, page.rows[-1])

    async def _retain(self, recording_id: str, rules: Sequence[Retention]) -> bool:
        recording = await self._store.load(recording_id)
        if recording is None:
            return False
        event = Retained(at=self._clock.now(), delete_at=delete_at(rules, recording))
        # What was deleted while we looked keeps the date that it had.
        return (await self._writer.save_event(recording, event)).delete_at != recording.delete_at


def check_place(url: str) -> str:
    """Give the URL of a place for audio back if its text is one that may be kept; empty, it stands for none.

    Raises:
        InvalidInput: it is no absolute URL, or has in it what is to be kept secret.
    """
    try:
        parts = urlsplit(url)
        plain = bool(parts.scheme) and "@" not in parts.netloc and not parts.query and not parts.fragment
    except ValueError:
        plain = False
    if url and not (plain and "://" in url and len(url) <= MAX_URL and url.isprintable() and " " not in url):
        raise InvalidInput.of(("media",), "pattern", url, "an absolute URL without user, password, query and fragment")
    return url


def check_numbers(numbers: Sequence[str]) -> tuple[str, ...]:
    """Give phone numbers back if all are.

    Raises:
        InvalidInput: one is none, or there are too many.
    """
    if len(numbers) > MAX_NUMBERS:
        raise InvalidInput.of(("numbers",), "maxItems", len(numbers), f"at most {MAX_NUMBERS} numbers")
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise InvalidInput.of(("numbers",), "pattern", number, "3 to 15 digits, behind a plus where it has one")
    return tuple(numbers)
