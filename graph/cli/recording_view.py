"""Recordings as the command line shows them: one JSON object, or a line of a table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from adapters.net import redact_url
from recordings.model.fields import DeliveryRow, MediaRow, RecordingRow
from recordings.model.instants import SECOND, Millis, to_iso
from recordings.model.recording import Recording
from recordings.rules.media_keys import provider_of

FIELDS: Final = frozenset(
    {"id", "account_id", "call_id", "state", "reason", "reason_detail", "start", "ended", "duration_ms"}
    | {"media", "delivery"}
)
"""The fields of a row that a list needs."""
_LOCAL: Final = "local:"
_MAX_DETAIL: Final = 80


def short_view(row: RecordingRow) -> dict[str, Any]:
    """Return a recording as an object of a list."""
    return {
        "id": row["id"],
        "accountId": row["account_id"],
        "callId": row["call_id"],
        "state": row["state"],
        "reason": row["reason"],
        "reasonDetail": row["reason_detail"],
        "start": to_iso(row["start"]),
        "ended": _time(row["ended"]),
        "durationMs": row["duration_ms"],
        "audio": _audio(row["media"]),
        "delivery": _delivery(row["delivery"]),
    }


def full_view(recording: Recording, data: Path) -> dict[str, Any]:
    """Return the fields of a recording that help an operator. `data` is the data folder."""
    row = recording.to_row()
    view = short_view(row)
    media, reference = row["media"], row["reference"]
    if media is not None:
        view["audio"] |= {"location": _location(media["url"], data), "sha256": media["sha256"]}
    view |= {name: row[field] for name, field in _PLAIN.items()}  # type: ignore[literal-required]
    view |= {name: _time(row[field]) for name, field in _TIMES.items()}  # type: ignore[literal-required]
    view |= {
        "isImported": row["imported"] is not None,
        "provider": None if reference is None else provider_of(reference["url"]),
        "hold": row["hold"],
        "lease": row["lease"],
    }
    return view


_PLAIN: Final = {
    "ownerId": "owner_id",
    "interactionId": "interaction_id",
    "from": "from",
    "to": "to",
    "direction": "direction",
    "name": "name",
    "label": "label",
    "endCause": "end_cause",
    "recorder": "recorder",
    "node": "node",
    "attempts": "attempts",
    "revision": "revision",
    "trashedFrom": "trashed_from",
    "trashedBy": "trashed_by",
    "trashedReason": "trashed_reason",
}
_TIMES: Final = {
    "created": "created",
    "modified": "modified",
    "dueAt": "due_at",
    "deleteAt": "delete_at",
    "trashedAt": "trashed_at",
    "purgeAt": "purge_at",
}


def line_of(row: RecordingRow, *, with_account: bool) -> Mapping[str, str]:
    """Return a recording as the cells of a table, by column."""
    media, delivery, detail = row["media"], row["delivery"], row["reason_detail"] or ""
    account = {"ACCOUNT": row["account_id"]} if with_account else {}
    return {
        "START": to_iso(row["start"])[:19] + "Z",
        "ID": row["id"],
        **account,
        "STATE": row["state"],
        "REASON": row["reason"] or "-",
        "AUDIO": "-" if media is None else _audio_cell(media),
        "DELIVERY": "-" if delivery is None else _delivery_cell(delivery),
        # One line for each recording, also if a detail has several.
        "DETAIL": " ".join(detail.split())[:_MAX_DETAIL],
    }


def table_of(lines: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield the lines of a table, with a heading."""
    if not lines:
        return
    rows = [{name: name for name in lines[0]}, *lines]
    widths = {name: max(len(row[name]) for row in rows) for name in lines[0]}
    for row in rows:
        yield "  ".join(f"{row[name]:{width}}" for name, width in widths.items()).rstrip()


def _audio(media: MediaRow | None) -> dict[str, Any] | None:
    if media is None:
        return None
    # Media that earlier releases stored have no damage and no place.
    return {
        "contentType": media["content_type"],
        "length": media["length"],
        "durationMs": media["duration_ms"],
        "sampleRate": media["sample_rate"],
        "channels": media["channels"],
        "storedAt": to_iso(media["stored_at"]),
        "damage": media.get("damage"),
        "place": media.get("place"),
    }


def _delivery(delivery: DeliveryRow | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    return {
        "state": delivery["state"],
        "attempts": delivery["attempts"],
        "lastError": delivery["last_error"],
        "dueAt": _time(delivery["due_at"]),
        "deliveredAt": _time(delivery["delivered_at"]),
    }


def _audio_cell(media: MediaRow) -> str:
    place, damage = media.get("place"), media.get("damage")
    kind = media["content_type"].removeprefix("audio/").removeprefix("x-")
    notes = f"{' damaged' if damage else ''}{f' at {place}' if place else ''}"
    return f"{media['duration_ms'] / SECOND:.1f} s {kind}{notes}"


def _delivery_cell(delivery: DeliveryRow) -> str:
    error = f": {delivery['last_error']}" if delivery["last_error"] else ""
    return f"{delivery['state']} ({delivery['attempts']} tries){error}"[:_MAX_DETAIL]


def _location(url: str, data: Path) -> str:
    """Return where audio is: a path on this server, or a URL without credentials."""
    if url.startswith(_LOCAL):
        return str(data / "media" / unquote(url.removeprefix(_LOCAL)))
    return redact_url(url)


def _time(at: Millis | None) -> str | None:
    return None if at is None else to_iso(at)
