"""Sample recordings, and a reference implementation of pages in plain Python."""

import itertools
from typing import Any, cast

from recordings.model.fields import RecordingRow
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions
from recordings.model.policy_trace import Consent, ConsentNeed, ConsentState, Fill, PolicySource, PolicyTrace
from recordings.model.query import Page, PageRequest, Position, Query, position_of, selects, sort_key
from recordings.model.recording import (
    ROW_FIELDS,
    Applied,
    Delivery,
    DeliveryState,
    Direction,
    EndCause,
    Hold,
    Lease,
    Media,
    Reason,
    Recording,
    Reference,
    Span,
    SpanKind,
    State,
)
from recordings.ports.recording_store import RecordingStore

NOW: Millis = 1_795_336_400_000
_numbers = itertools.count(1)

AUDIO = Media(
    url="file:///audio/1.mp3",
    content_type="audio/mpeg",
    length=2**33,
    duration_ms=61_000,
    sample_rate=8_000,
    channels=2,
    sha256="ab" * 32,
    stored_at=NOW + 62_000,
)


def unique(prefix: str = "id") -> str:
    return f"{prefix}-{next(_numbers):08d}"


def recording(**given: Any) -> Recording:
    """Return a recording, by default in a state that does not occupy its call."""
    values: dict[str, Any] = {
        "id": unique("202611"),
        "account_id": "account",
        "state": State.STORED,
        "start": NOW,
        "created": NOW,
        "ended": NOW,
        "modified": NOW,
        "call_id": unique("call"),
        "from_": "1001@x.sip.invalid",
        "to": "1002@x.sip.invalid",
    }
    return Recording(**values | given)


async def put_older(store: RecordingStore) -> dict[str, Millis | None]:
    """Insert recordings from before the field `ended` existed. Return the `ended` that a migration must set, by id."""
    imported = {"id": "x", "pvt_created": 63_962_555_600}
    expected = (
        (recording(media=AUDIO, modified=NOW + 70_000), AUDIO.stored_at),
        (recording(media=AUDIO, imported=imported, created=NOW - 5), NOW - 5),
        (recording(state=State.TRASHED, trashed_from=State.LOST, imported=imported, created=NOW - 6), NOW - 6),
        (recording(state=State.FAILED, modified=NOW + 7), NOW + 7),
        (recording(state=State.RECORDING, modified=NOW + 8), None),
    )
    for item, _ in expected:
        await store.insert(item)
    return {item.id: ended for item, ended in expected}


async def put_copies(store: RecordingStore) -> dict[str, str | None]:
    """Insert copies that older releases stored. Return the `held_source` that a migration must set, by id."""
    source = {"source_key": "s", "source_sha256": "1"}
    expected = (
        (recording(state=State.STORED, created=NOW, **source), "s:1"),
        (recording(state=State.STORED, created=NOW + 1, **source), None),
        (recording(state=State.TRASHED, trashed_from=State.STORED, created=NOW + 2, **source), None),
        (recording(state=State.STORED, created=NOW, account_id="other", **source), "s:1"),
        (recording(state=State.TRASHED, trashed_from=State.STORED, source_key="s", source_sha256="2"), "s:2"),
        (recording(state=State.FINALIZING, source_key="s", source_sha256="3"), None),
        (recording(state=State.TRASHED, trashed_from=State.FAILED, source_key="s", source_sha256="4"), None),
        (recording(state=State.STORED, source_key="s"), None),
        (recording(state=State.STORED), None),
    )
    for item, _ in expected:
        await store.insert(item)
    return {item.id: held for item, held in expected}


async def loaded(store: RecordingStore, recording_id: str) -> Recording:
    """Load a recording that must exist."""
    found = await store.load(recording_id)
    assert found is not None
    return found


def full(**given: Any) -> Recording:
    """Return a recording with a value in every field."""
    values: dict[str, Any] = {
        "state": State.TRASHED,
        "options": RecordingOptions(
            label="ü", url="https://example.org/x", time_limit=10_800, record_min_sec=2**31 - 1
        ),
        "origin": "call : 1",
        "name": "name.mp3",
        "format": "wav",
        "recorder": "freeswitch",
        "owner_id": "owner",
        "endpoint_id": "endpoint",
        "interaction_id": "interaction",
        "cdr_id": "cdr",
        "direction": Direction.INBOUND,
        "request": "request",
        "caller_id_name": "Zoë \U0001f600",
        "caller_id_number": "+49301234",
        "callee_id_name": "Bob",
        "callee_id_number": "1002",
        "label": "label",
        "duration_ms": 2**40,
        "reason": Reason.INCOMPLETE,
        "reason_detail": "detail",
        "end_cause": EndCause.HANGUP,
        "spans": (Span(SpanKind.PAUSED, NOW, 5, 7), Span(SpanKind.MASKED, NOW, 2**35)),
        "media": AUDIO,
        "delivery": Delivery("delivery", DeliveryState.FAILED, NOW + 4, 5, "503 \U0001f600", NOW + 6),
        "hold": Hold("somebody", NOW, "case 7"),
        "policy": PolicyTrace(
            source=PolicySource.USER,
            evaluated_at=NOW,
            document_id="user",
            revision=3,
            cell="inbound.offnet",
            fill=Fill.COMPATIBLE,
            reasons=("account.inbound.offnet", "user.inbound.offnet"),
            locked=True,
            part="account",
        ),
        "consent": Consent(ConsentNeed.ALL_PARTIES, ConsentState.GIVEN, NOW, "somebody"),
        "ended": NOW + 8,
        "delete_at": NOW + 7,
        "user_metadata": {"a.b": {"$set": [1, None, 1.5, True]}, "$where": "x", "": "", "nul\0": "\0", "n": 2**80},
        "custom_channel_vars": {"$ref": -(2**63) - 1, "Ünï\U0001f600": [{"x.y": {}}]},
        "imported": {"_id": "x", "big": 2**64, "created": 63_962_555_600},
        "trashed_from": State.STORED,
        "trashed_at": NOW,
        "trashed_by": "somebody",
        "trashed_reason": "asked for \U0001f600",
        "purge_at": NOW + 1,
        "start_key": unique("key"),
        "start_fingerprint": "fingerprint",
        "applied": (Applied("key", "stop"),),
        "source_key": "source",
        "source_sha256": "cd" * 32,
        "held_source": unique("source"),
        "reference": Reference("https://audio.example.com/1.mp3", "audio/mpeg", 7),
        "node": "node",
        "due_at": NOW + 2,
        "attempts": 3,
        "lease": Lease("holder", NOW + 3),
        "revision": 4,
    }
    return recording(**values | given)


def position_key(key: str | int | None, identity: str) -> tuple[bool, Any, str]:
    """Return a position as a sort key."""
    return (key is not None, 0 if key is None else key, identity)


def ordered(rows: list[RecordingRow], query: Query) -> list[RecordingRow]:
    """Return all rows of a query, sorted in Python."""
    chosen = [row for row in rows if selects(query, row)]
    return sorted(chosen, key=lambda row: sort_key(query.order, row), reverse=query.order.descending)


def reference(rows: list[RecordingRow], query: Query, request: PageRequest) -> Page:
    """Return the page that a store must return."""
    low, high = request.after, request.before
    if query.order.descending:
        low, high = high, low

    def within(row: RecordingRow) -> bool:
        key = sort_key(query.order, row)
        return (low is None or key > position_key(low.key, low.id)) and (
            high is None or key < position_key(high.key, high.id)
        )

    found = [row for row in ordered(rows, query) if within(row)]
    part = found[-request.limit :] if request.backward else found[: request.limit]
    names = (frozenset(ROW_FIELDS) if request.fields is None else request.fields) | {"id", query.order.field.value}
    shown: list[Any] = [{name: cast("Any", row)[name] for name in names} for row in part]
    return Page(shown, len(found) > request.limit)


def at(query: Query, row: RecordingRow) -> Position:
    return position_of(query.order, row)
