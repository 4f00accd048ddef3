"""Compare all rows of two stores by their digests, in bounded memory.

The rows of a kind are divided into 256 groups by what identifies them. Each group has the sum of the SHA-256 of its
rows, modulo 2^256, which does not depend on their order. If the sums of a group differ, its rows are read again, and
each row is compared.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from adapters.metadata.stored_kinds import StoredKind
from recordings.model.instants import Millis
from recordings.ports.copied_store import MigratedStore

PAGE: Final = 500
_GROUPS: Final = 256
_RANGE: Final = 1 << 256
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(slots=True)
class Comparison:
    """The number of compared rows, and what identifies the rows that differ: at most those of one group."""

    rows: int = 0
    differing: list[str] = field(default_factory=list)


async def compare(source: MigratedStore, target: MigratedStore, kind: StoredKind, expired: Millis) -> Comparison:
    """Compare the rows of a kind. Rows that expire before `expired` do not count: a store may have deleted them."""
    wanted, wanted_rows = await _sums(source, kind, expired)
    found, found_rows = await _sums(target, kind, expired)
    if wanted == found and wanted_rows == found_rows:
        return Comparison(wanted_rows)
    group = next(number for number in range(_GROUPS) if wanted[number] != found[number])
    rows, others = [await _group(store, kind, expired, group) for store in (source, target)]
    differing = sorted(key for key in rows.keys() | others.keys() if rows.get(key) != others.get(key))
    return Comparison(wanted_rows, differing)


async def rows_of(store: MigratedStore, kind: StoredKind) -> AsyncIterator[Mapping[str, Any]]:
    """Yield all rows of a kind."""
    after, is_first = None, True
    while is_first or after is not None:
        page = await store.plain_rows(str(kind.table), after, PAGE)
        after, is_first = page.after, False
        for row in page.rows:
            yield row


async def _sums(store: MigratedStore, kind: StoredKind, expired: Millis) -> tuple[list[int], int]:
    sums, count = [0] * _GROUPS, 0
    async for key, row in _encoded(store, kind, expired):
        group = _group_of(key)
        sums[group] = (sums[group] + int.from_bytes(hashlib.sha256(row).digest(), "big")) % _RANGE
        count += 1
    return sums, count


async def _group(store: MigratedStore, kind: StoredKind, expired: Millis, group: int) -> dict[str, bytes]:
    rows = _encoded(store, kind, expired)
    return {key.decode(): hashlib.sha256(row).digest() async for key, row in rows if _group_of(key) == group}


async def _encoded(store: MigratedStore, kind: StoredKind, expired: Millis) -> AsyncIterator[tuple[bytes, bytes]]:
    async for row in rows_of(store, kind):
        if not kind.expires or row[kind.expires] >= expired:
            yield _encode(kind.identify(row)), _encode(row)


def _group_of(key: bytes) -> int:
    return hashlib.sha256(key).digest()[0]
