"""The audit trail in every store."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

import adapters.metadata.mongodb.audit_collections as in_mongodb
import adapters.metadata.sqlite.audit_tables as in_sqlite
from recordings.model.audit_entry import (
    SYSTEM,
    Actor,
    ActorKind,
    AuditAction,
    AuditEntry,
    AuditFilter,
    AuditObject,
    AuditOutcome,
    ChainName,
    Link,
    Origin,
    Seal,
    StoredEntry,
)
from recordings.model.query import Position
from recordings.ports.audit_store import ChainMoved
from recordings.ports.recording_store import MetadataStore
from recordings.rules.audit_chain import link, problem_of, read_entry

ADA = Actor(ActorKind.OWNER, "ada", "a", owner_id="ada", name="app")


def entry(number: int, account: str = "a", **values: Any) -> AuditEntry:
    made = AuditEntry(
        id=f"{account}{number:04}",
        at=1_000 + number,
        account_id=account,
        actor=ADA,
        origin=Origin(),
        action=AuditAction.PLAY,
        object=AuditObject("recording", f"r{number % 3}", account),
        details={"seconds": 1.5, "text": "\U0001f600 \ud800"},
    )
    return replace(made, **values)


def linked(*entries: AuditEntry, writer: str = "n1", end: Link | None = None) -> list[StoredEntry]:
    ends: dict[str, Link] = {}
    found = []
    for each in entries:
        stored = link(each, writer, ends.get(each.account_id, end or Link()))
        ends[each.account_id] = stored.link
        found.append(stored)
    return found


async def test_entries_return_as_they_were_written(store: MetadataStore) -> None:
    written = linked(*(entry(number) for number in range(5)), entry(9, object=AuditObject("list"), actor=SYSTEM))
    await store.append_entries(written)
    found = await store.chain_entries(ChainName("a", "n1"), 0)
    assert list(found) == written
    assert read_entry(found[0]) == entry(0)
    assert [problem_of(each, before.link) for before, each in pairwise(found)] == [None] * 5
    assert await store.chain_end(ChainName("a", "n1")) == written[-1].link
    assert await store.chain_end(ChainName("a", "n2")) == Link()
    assert [each.seq for each in await store.chain_entries(ChainName("a", "n1"), 2, 2)] == [3, 4]
    assert {each.id for each in await store.entries_by_id(["a0001", "a0003", "x"])} == {"a0001", "a0003"}


async def test_a_second_entry_at_one_position_is_refused(store: MetadataStore) -> None:
    first, second = linked(entry(0), entry(1))
    await store.append_entries([first])
    other = linked(entry(7))
    with pytest.raises(ChainMoved):
        await store.append_entries(other)
    with pytest.raises(ChainMoved):
        await store.append_entries([replace(second, id=first.id)])
    await store.append_entries([second])
    assert await store.chain_end(ChainName("a", "n1")) == second.link


async def test_chains_are_listed_in_order(store: MetadataStore) -> None:
    names = [ChainName(account, writer) for account in ("", "a", "b") for writer in ("n1", "n2")]
    for name in names:
        await store.append_entries(
            linked(*(entry(each, name.account_id, id=f"{name}{each}") for each in range(3)), writer=name.writer)
        )
    assert await store.chains() == names
    assert await store.chains(names[1], 3) == names[2:5]


async def test_a_page_of_a_trail_is_newest_first(store: MetadataStore) -> None:
    await store.append_entries(linked(*(entry(number) for number in range(7)), entry(0, "b")))
    await store.append_entries(linked(entry(8), writer="n2"))
    page = await store.trail_page(AuditFilter(account_id="a"), 3)
    assert [each.id for each in page.entries] == ["a0008", "a0006", "a0005"]
    assert page.rest == Position(1_005, "a0005")
    page = await store.trail_page(AuditFilter(account_id="a"), 9, page.rest)
    assert ([each.id for each in page.entries], page.rest) == (["a0004", "a0003", "a0002", "a0001", "a0000"], None)


async def test_each_filter_selects(store: MetadataStore) -> None:
    bob = Actor(ActorKind.KEY, "bob", "a", key_id="bob")
    await store.append_entries(
        linked(
            entry(1),
            entry(2, actor=bob),
            entry(3, action=AuditAction.READ),
            entry(4, outcome=AuditOutcome.DENIED),
            entry(5, action=AuditAction.PLAY_ENDED),
        )
    )
    cases: dict[Any, list[int]] = {
        (): [4, 3, 2, 1],
        (("who", "bob"),): [2],
        (("object_id", "r1"),): [4, 1],
        (("object_id", "r1"), ("who", "bob")): [],
        (("object_id", "r1"), ("outcome", AuditOutcome.DENIED)): [4],
        (("actions", (AuditAction.READ, AuditAction.PLAY_ENDED)),): [5, 3],
        (("since", 1_002), ("before", 1_004)): [3, 2],
        (("who", "ada"), ("since", 1_002)): [4, 3],
    }
    for given, expected in cases.items():
        page = await store.trail_page(AuditFilter(account_id="a", **dict(given)), 10)
        assert [each.seq for each in page.entries] == expected, given


async def test_a_page_examines_a_bounded_number_of_entries(
    store: MetadataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (in_sqlite, in_mongodb):
        monkeypatch.setattr(module, "MAX_EXAMINED_ENTRIES", 4)
    await store.append_entries(linked(entry(0, action=AuditAction.READ), *(entry(each) for each in range(1, 9))))
    wanted, found, after, pages = AuditFilter(account_id="a", actions=(AuditAction.READ,)), list[str](), None, 0
    while pages == 0 or after is not None:
        page = await store.trail_page(wanted, 10, after)
        found += [each.id for each in page.entries]
        after, pages = page.rest, pages + 1
    assert (found, pages) == (["a0000"], 3)


async def test_pruning_leaves_a_root_without_content(store: MetadataStore) -> None:
    written = linked(*(entry(number) for number in range(4)), entry(0, "b"))
    await store.append_entries(written)
    await store.prune_chain(written[2])
    await store.prune_chain(written[2])
    root, last = await store.chain_entries(ChainName("a", "n1"), 0)
    assert (root.seq, root.hash, root.body, root.who, root.object_id) == (3, written[2].hash, "", "", None)
    assert last == written[3]
    assert [each.id for each in (await store.trail_page(AuditFilter(account_id="a"), 9)).entries] == ["a0003"]
    assert await store.chain_end(ChainName("b", "n1")) == written[4].link


async def test_seals_are_kept_until_they_are_deleted(store: MetadataStore) -> None:
    seals = [Seal(id=f"s{number}", writer="n1", at=number, text=f"{number}") for number in range(4)]
    for seal in reversed(seals):
        await store.add_seal(seal)
    await store.add_seal(replace(seals[0], text="forged"))
    assert list(await store.seals()) == seals
    assert list(await store.seals("s1", 1)) == [seals[2]]
    await store.delete_seals(["s0", "s3"])
    assert list(await store.seals()) == seals[1:3]
