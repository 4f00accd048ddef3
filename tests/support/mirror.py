"""A mirror of an account that reads pages of changes, and writers that change the account."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recordings.model.events import Created, Discarded, Purged, Retained, Trashed
from recordings.model.fields import RecordingRow
from recordings.model.query import Order, OrderField, PageRequest, Position, Query, position_of
from recordings.model.recording import Reason, Recording, State
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError
from recordings.use_cases.changes import page_of_changes
from recordings.use_cases.save_event import RecordingWriter

ACCOUNT = "a" * 32
START = 1_795_336_400_000
FIELDS = frozenset({"id", "state", "label", "revision", "changed"})


@dataclass
class Mirror:
    """A copy of an account's rows. It fails if it gets a change twice, or an earlier one after a later one."""

    store: MetadataStore
    query: Query = field(
        default_factory=lambda: Query(
            account_id=ACCOUNT, shelf=None, order=Order(OrderField.MODIFIED, descending=False)
        )
    )
    rows: dict[str, RecordingRow] = field(default_factory=dict)
    after: Position | None = None
    received: int = 0

    async def poll(self, limit: int = 100) -> int:
        """Read the changes after the cursor. Return their number."""
        before = self.received
        while True:
            request = PageRequest(limit=limit, after=self.after, fields=FIELDS)
            page = await page_of_changes(self.store, self.query, request)
            for row in page.rows:
                self._receive(row)
            if not page.has_more:
                return self.received - before

    def _receive(self, row: RecordingRow) -> None:
        known = self.rows.get(row["id"])
        assert known is None or (known["revision"], known["changed"]) < (row["revision"], row["changed"]), (known, row)
        position = position_of(self.query.order, row)
        assert self.after is None or (self.after.key, self.after.id) < (position.key, position.id)
        self.rows[row["id"]] = row
        self.after = position
        self.received += 1

    async def missing(self) -> list[str]:
        """Return the ids of the recordings whose last change the mirror does not have."""
        found: list[str] = []
        last = ""
        while rows := await self.store.scan(last, 1_000, FIELDS):
            found += [row["id"] for row in rows if self._state(self.rows.get(row["id"])) != self._state(row)]
            last = rows[-1]["id"]
        return found

    @staticmethod
    def _state(row: RecordingRow | None) -> object:
        return row and (row["state"], row["revision"], row["changed"])


async def follow(mirror: Mirror, writing: Sequence[asyncio.Future[Any]], rng: random.Random) -> None:
    """Poll at random times until the writers have ended and the mirror has everything."""
    while not all(each.done() for each in writing):
        await _poll(mirror, rng.choice((1, 7, 100)))
        await asyncio.sleep(rng.random() * 0.1)
    for each in writing:
        each.result()
    for _ in range(600):
        await _poll(mirror, 100)
        if not await mirror.missing():
            return
        await asyncio.sleep(0.1)


async def _poll(mirror: Mirror, limit: int) -> None:
    try:
        await mirror.poll(limit)
    except StoreUnavailableError:
        await asyncio.sleep(0.2)


async def change(store: MetadataStore, name: str, changes: int, clock: int) -> None:
    """Make changes of all kinds: new recordings, updates, deletions and purges. `clock` is this writer's own time."""
    rng = random.Random(name)
    writer = RecordingWriter(store)
    live: list[Recording] = []
    for number in range(changes):
        try:
            await _change(writer, live, f"{name}-{number:06d}", clock + number, rng)
        except StoreUnavailableError:
            # The write may or may not have been done. The next one is of another recording.
            live.clear()
            await asyncio.sleep(0.2)


async def _change(writer: RecordingWriter, live: list[Recording], name: str, now: int, rng: random.Random) -> None:
    if len(live) < 3 or rng.random() < 0.3:
        new = Recording(
            id=f"202611-{name}", account_id=ACCOUNT, state=State.FINALIZING, start=now, created=now, modified=now,
            call_id=name, from_="a@b", to="c@d",
        )  # fmt: skip
        live.append(await writer.create(new, Created(at=now)))
        return
    place = rng.randrange(len(live))
    recording = live[place]
    if recording.state is State.FINALIZING:
        event: Discarded | Trashed | Purged | Retained = Discarded(at=now, reason=Reason.EMPTY)
    elif recording.state is State.TRASHED:
        event = Purged(at=now)
    elif rng.random() < 0.3:
        event = Trashed(at=now, by="x", purge_at=now)
    else:
        event = Retained(at=now, delete_at=now)
    changed = await writer.save_event(recording, event)
    live[place] = changed
    if changed.state is State.PURGED:
        del live[place]


def skewed(number: int) -> int:
    """Return the time of a writer's clock, up to half a minute off."""
    return START + (number * 7919 % 60_001) - 30_000


def relabelled(recording: Recording, label: str) -> Recording:
    """Return the next revision of a recording, with another label."""
    return replace(recording, label=label, revision=recording.revision + 1)
