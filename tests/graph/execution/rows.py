"""Random rows of recordings, valid and corrupt."""

from collections.abc import Sequence
from random import Random
from typing import Any

from recordings.model.account import Account
from recordings.model.call import Call
from recordings.model.errors import CallNotFound, NotFound
from recordings.model.fields import RecordingRow
from recordings.model.instants import LATEST
from recordings.model.item_list import Slice
from recordings.model.options import FORMATS, METHODS, SAMPLE_RATES, RecordingOptions
from recordings.model.query import Count, Page, PageRequest, Query
from recordings.model.recording import Direction, EndCause, Media, Reason, Recording, Span, SpanKind, State
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants

CURSORS, GRANTS = Cursors(b"c" * 32), Grants(b"g" * 32)


class Text(str):
    __slots__ = ()


def sound_row(random: Random, number: int) -> dict[str, Any]:
    def maybe(value: Any) -> Any:
        return value if random.random() < 0.6 else None

    at = random.choice([0, 1_795_336_461_123, -1, 59_999, 60_000, LATEST, random.randint(10**12, 2 * 10**12)])
    kinds = list(SpanKind)
    row = Recording(
        id=f"202611-{number:032x}",
        account_id="a" * 32,
        state=random.choice(list(State)),
        start=at,
        created=at,
        modified=at,
        call_id=random.choice(["c", "ü☃", "line\nbreak", "\u2028", '"', ""]),
        from_="1001@a",
        to="1002@b",
        options=RecordingOptions(
            url=maybe("http://a.test/"),
            format=maybe(random.choice(FORMATS)),
            method=random.choice(METHODS),
            record_sample_rate=maybe(random.choice(SAMPLE_RATES)),
        ),
        format=random.choice(FORMATS),
        name=random.choice(["", "näme", "\x00", "😀"]),
        owner_id=maybe("ada"),
        reason=maybe(random.choice(list(Reason))),
        end_cause=maybe(random.choice(list(EndCause))),
        direction=maybe(random.choice(list(Direction))),
        caller_id_number=maybe("+491"),
        label=maybe("label"),
        ended=maybe(at),
        duration_ms=maybe(random.choice([0, -5, 2**31 - 1, 61_000])),
        spans=tuple(Span(random.choice(kinds), at, 5, maybe(7)) for _ in range(random.choice([0, 0, 1, 3]))),
        media=maybe(Media("s3://x", "audio/mpeg", 3 * 10**9, 61_000, 8_000, 2, "0f" * 32, 1_795_336_461_000)),
        user_metadata=random.choice([{}, {"mood": [1, None, {"deep": True, "big": 2**60, "f": 0.1}]}]),
        trashed_at=maybe(at),
    ).to_row()
    return {key: value for key, value in row.items() if key not in {"lease", "applied"}}


WRONG: Sequence[Any] = (
    None, None, 0, -1, 2**31, 2**70, True, 1.0, 1.5, float("nan"), float("inf"), "text", "STORED", "inbound", "",
    Text("sub"), b"bytes", [], ["x"], [None], {}, {"a": 1}, (), ("x",), ({"kind": "PAUSED"},), object,
    State.STORED, Direction.INBOUND, ValueError("a value that is an error"), {"kind", "at"}, 10**14, "1", LATEST + 1,
)  # fmt: skip


def corrupt(random: Random, row: Any) -> None:
    """Change or delete one random value in a row."""
    place: Any = row
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = random.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and random.random() < 0.7:
            place = place[key]
            continue
        if isinstance(place, dict) and random.random() < 0.25:
            del place[key]
        else:
            place[key] = random.choice(WRONG)
        return


class RandomRecordings:
    """The use cases for reading, with random rows. Every caller gets the same rows."""

    def __init__(self, random: Random, wrong: float) -> None:
        self.rows: list[Any] = [sound_row(random, number) for number in range(random.choice([0, 1, 2, 5]))]
        for row in self.rows:
            while random.random() < wrong:
                corrupt(random, row)
        if random.random() < wrong / 4:
            self.rows.append(random.choice(WRONG))
        self.is_counted = random.random() >= wrong / 2

    async def page(self, _principal: Any, _query: Query, _request: PageRequest) -> Page:
        return Page(self.rows, False)

    async def count(self, _principal: Any, _query: Query) -> Count:
        if not self.is_counted:
            raise ValueError("the recordings cannot be counted")
        return Count(len(self.rows))

    async def find_many(self, _principal: Any, ids: Sequence[str], _fields: Any) -> Sequence[RecordingRow | None]:
        return [self.rows[at % len(self.rows)] if self.rows else None for at, _ in enumerate(ids)]

    async def account(self, _principal: Any, account_id: str | None = None) -> Account:
        if account_id == "b":
            raise NotFound("no such account", path=("id",))
        return Account(account_id or "a" * 32, "näme", 1, ("b" * 32,))

    @property
    def lists(self) -> "RandomRecordings":
        return self

    async def children(self, _principal: Any, account_id: str, request: PageRequest) -> Slice[Account]:
        found = [Account(str(number), "näme", number, ("b" * 32, account_id)) for number in range(3)]
        return Slice(found[: request.limit], request.limit < len(found))

    async def descendants(self, _principal: Any, _id: str) -> tuple[str, ...]:
        return ("c" * 32,)

    async def count_children(self, _principal: Any, _id: str) -> int:
        return 3

    async def calls(self, _principal: Any, account_id: str, request: PageRequest) -> Slice[Call]:
        found = [Call(account_id=account_id, call_id=f"ü{number}", started=number) for number in range(3)]
        return Slice(found[: request.limit], request.limit < len(found))

    async def call(self, _principal: Any, call_id: str, account_id: str) -> Call:
        if call_id == "gone":
            raise CallNotFound("no such call", path=("callId",))
        direction = Direction.OUTBOUND if call_id == "out" else None
        return Call(account_id=account_id, call_id=call_id, started=1, direction=direction)

    async def count_calls(self, _principal: Any, _id: str) -> int:
        return 3
