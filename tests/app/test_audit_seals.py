"""The verification of the audit trail: it names the first break after each kind of change."""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.identity import AuditSigner
from adapters.media import MediaSealArchive, open_media_store
from adapters.metadata.sqlite import SqliteStore
from graph.server.audit_queue import AuditQueue
from graph.server.audit_trail import AuditTrail
from graph.server.seal_turn import seal_turn
from recordings.model.account import Principal
from recordings.model.audit_entry import AuditAction, AuditObject, ChainName
from recordings.model.instants import DAY
from recordings.rules.audit_chain import hash_of
from recordings.rules.signing_keys import SigningKey, SigningKeys
from recordings.use_cases.seal_audit import AuditSealer
from recordings.use_cases.verify_audit import AuditReport, AuditVerifier
from tests.support.fake_clock import FakeClock

NODE, ACCOUNT = "1" * 32, "a" * 32
CALLER = Principal(ACCOUNT, frozenset(), "ada", "app")
OLD, NEW = SigningKey("old", b"o" * 32), SigningKey("new", b"n" * 32)


@dataclass
class Trail:
    """A trail with its sealer and its verifier, in a folder."""

    folder: Path
    clock: FakeClock
    store: SqliteStore
    keys: SigningKeys

    def __post_init__(self) -> None:
        self.archive = MediaSealArchive(open_media_store(None, self.folder))
        self.sealer = self.make_sealer()

    def make_sealer(self) -> AuditSealer:
        """Return the sealer of another process."""
        return AuditSealer(
            store=self.store,
            archive=self.archive,
            signer=AuditSigner(self.keys),
            clock=self.clock,
            node=NODE,
            days=400,
            turn=lambda: seal_turn(self.folder),
        )

    async def write(self, number: int, account: str = ACCOUNT, writer: str = NODE) -> None:
        trail = AuditTrail(AuditQueue(self.store, self.clock, writer, strict=True), self.clock)
        for each in range(number):
            await trail.record(CALLER, AuditAction.PLAY, AuditObject("recording", f"r{each}", account))

    async def report(self) -> AuditReport:
        return await AuditVerifier(self.store, self.archive, AuditSigner(self.keys), NODE).verify()

    async def breaks(self) -> list[str]:
        return (await self.report()).breaks

    def change(self, statement: str, *values: Any) -> None:
        """Change the file, as an attacker who can write it."""
        with closing(sqlite3.connect(self.folder / "recordings.sqlite3")) as connection:
            connection.execute(statement, values)
            connection.commit()


@pytest.fixture
async def trail(tmp_path: Path) -> AsyncIterator[Trail]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield Trail(tmp_path, FakeClock(), store, SigningKeys([NEW]))
    await store.close()


async def test_an_untouched_trail_has_no_break(trail: Trail) -> None:
    assert await trail.breaks() == []
    await trail.write(5)
    await trail.write(2, "b" * 32, f"{NODE}-cli")
    assert await trail.breaks() == []
    assert await trail.sealer.seal() is not None
    assert await trail.sealer.seal() is None
    await trail.write(3)
    report = await trail.report()
    assert (report.breaks, report.entries, report.chains, report.seals, report.unsealed) == ([], 10, 2, 1, 3)
    assert await trail.sealer.seal() is not None
    assert (await trail.report()).unsealed == 0


async def test_processes_that_seal_at_once_make_one_chain_of_seals(trail: Trail) -> None:
    await trail.write(3)
    await asyncio.gather(*(trail.make_sealer().seal() for _ in range(4)))
    report = await trail.report()
    assert (report.breaks, report.seals, report.unsealed) == ([], 4, 0)


ENTRY = "UPDATE audit_entries SET"
BREAKS: dict[str, tuple[str, str]] = {
    "a byte of the content": (f"{ENTRY} body = replace(body, '\"r2\"', '\"r9\"') WHERE seq = 3", "entry 3"),
    "a column": (f"{ENTRY} who = 'bob' WHERE seq = 3", "entry 3"),
    "a time": (f"{ENTRY} at = at + 1 WHERE seq = 3", "entry 3"),
    "a hash": (f"{ENTRY} hash = replace(hash, substr(hash, 1, 1), 'z') WHERE seq = 3", "entry 3"),
    "a link": (f"{ENTRY} prev = hash WHERE seq = 3", "entry 3"),
    "an emptied entry": (f"{ENTRY} body = '' WHERE seq = 3", "its content is missing"),
    "a deleted entry": ("DELETE FROM audit_entries WHERE seq = 3", "1 entries before it are missing"),
    "a deleted beginning": ("DELETE FROM audit_entries WHERE seq < 3", "2 entries before it are missing"),
    "a cut end": ("DELETE FROM audit_entries WHERE seq > 3", "the entries 4 to 5 are missing at the end"),
    "a deleted chain": ("DELETE FROM audit_entries", "the entries 1 to 5 are missing at the end"),
    "swapped entries": (f"{ENTRY} seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)", "entry"),
    "a forged seal": ("UPDATE audit_seals SET text = replace(text, '5,', '4,')", "the seal"),
    "a deleted seal": ("DELETE FROM audit_seals WHERE id LIKE '%1'", "the seal"),
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.event_bar(10)
async def test_each_change_is_named(trail: Trail, name: str) -> None:
    await trail.write(5)
    await trail.sealer.seal()
    await trail.make_sealer().seal()
    statement, expected = BREAKS[name]
    trail.change(statement)
    if name == "swapped entries":
        trail.change(f"{ENTRY} seq = -seq WHERE seq < 0")
    breaks = await trail.breaks()
    assert breaks, name
    assert expected in breaks[0]


async def test_a_rewritten_chain_differs_from_its_seal(trail: Trail) -> None:
    await trail.write(3)
    await trail.sealer.seal()
    prev = ""
    for entry in await trail.store.chain_entries(ChainName(ACCOUNT, NODE), 0):
        body = entry.body.replace('"r1"', '"r7"')
        digest = hash_of(prev, body)
        trail.change(
            f"{ENTRY} body = ?, prev = ?, hash = ?, object_id = ? WHERE seq = ?",
            *(body, prev, digest, json.loads(body)["object"]["id"], entry.seq),
        )
        prev = digest
    (found,) = await trail.breaks()
    assert f"entry 3 ({entry.id}" in found
    assert f"it differs from the seal {NODE}:00000001" in found


async def test_a_trail_and_its_seals_that_were_set_back_differ_from_the_media_store(trail: Trail) -> None:
    await trail.write(3)
    await trail.sealer.seal()
    await trail.write(2)
    await trail.sealer.seal()
    trail.change("DELETE FROM audit_entries WHERE seq > 3")
    trail.change("DELETE FROM audit_seals WHERE id LIKE '%2'")
    (found,) = await trail.breaks()
    assert "the entries 4 to 5 are missing at the end, but a seal has them" in found


async def test_an_emptied_metadata_store_differs_from_the_media_store(trail: Trail) -> None:
    await trail.write(3)
    await trail.sealer.seal()
    trail.change("DELETE FROM audit_entries")
    trail.change("DELETE FROM audit_seals")
    (found,) = await trail.breaks()
    assert "the entries 1 to 3 are missing at the end, but a seal has them" in found


async def test_a_seal_of_another_key_is_forged(trail: Trail) -> None:
    await trail.write(3)
    trail.keys.replace([OLD])
    await trail.sealer.seal()
    trail.keys.replace([NEW])
    (found,) = await trail.breaks()
    assert found.startswith(f"the seal {NODE}:00000001 is forged")


async def test_a_seal_stays_valid_after_its_key_was_replaced_and_dropped(trail: Trail) -> None:
    trail.keys.replace([OLD])
    await trail.write(3)
    await trail.sealer.seal()
    trail.keys.replace([NEW, OLD])
    await trail.write(1)
    await trail.sealer.seal()
    trail.keys.replace([NEW])
    assert await trail.breaks() == []


async def test_old_entries_are_deleted_and_the_trail_stays_valid(trail: Trail) -> None:
    await trail.write(3)
    await trail.write(2, "b" * 32)
    trail.clock.move(300 * DAY)
    await trail.write(2)
    trail.clock.move(101 * DAY)
    assert await trail.sealer.prune() == 2
    assert await trail.sealer.prune() == 0
    kept = await trail.store.chain_entries(ChainName(ACCOUNT, NODE), 0)
    assert [(each.seq, bool(each.body)) for each in kept] == [(3, False), (4, True), (5, True)]
    assert await trail.breaks() == []
    await trail.write(1, "b" * 32)
    assert await trail.breaks() == []
    trail.clock.move(300 * DAY)
    await trail.make_sealer().prune()
    assert await trail.breaks() == []
    trail.change("DELETE FROM audit_entries WHERE account_id = ?", ACCOUNT)
    assert "missing" in (await trail.breaks())[0]


KILLED = 17


async def _life(trail: Trail, step: Callable[[], None]) -> None:
    """Write, seal and delete entries, and call `step` before and after each change."""

    def watch(owner: Any, name: str) -> None:
        work = getattr(owner, name)

        async def watched(*args: Any) -> Any:
            step()
            result = await work(*args)
            step()
            return result

        setattr(owner, name, watched)

    for name in ("append_entries", "add_seal", "prune_chain"):
        watch(trail.store, name)
    watch(trail.archive, "put")
    await trail.write(2)
    await trail.sealer.seal()
    await trail.write(1)
    trail.clock.move(401 * DAY)
    await trail.write(1)
    await trail.sealer.prune()


def test_the_trail_is_valid_after_a_kill_at_every_step(tmp_path: Path) -> None:
    number = 1
    while _is_killed_at(tmp_path / f"{number}", number):
        asyncio.run(_is_valid(tmp_path / f"{number}"))
        number += 1
    assert number > 20


def _is_killed_at(folder: Path, number: int) -> bool:
    """Let a child process live, and kill it at a step. Return false if it has fewer steps."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(_live(folder, number))
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, KILLED}
    return code == KILLED


async def _live(folder: Path, left: int) -> None:
    """Write, seal and delete entries, and end without any clean-up at the given step."""

    def step() -> None:
        nonlocal left
        left -= 1
        if not left:
            os._exit(KILLED)

    store = SqliteStore(folder)
    await store.open()
    trail = Trail(folder, FakeClock(), store, SigningKeys([NEW]))
    for owner, names in ((store, ("append_entries", "add_seal", "prune_chain")), (trail.archive, ("put",))):
        for name in names:
            _watch(owner, name, step)
    await trail.write(2)
    await trail.sealer.seal()
    await trail.write(1)
    trail.clock.move(401 * DAY)
    await trail.write(1)
    await trail.sealer.prune()
    await store.close()


def _watch(owner: Any, name: str, step: Callable[[], None]) -> None:
    """Call `step` before and after each call of a method."""
    work = getattr(owner, name)

    async def watched(*args: Any) -> Any:
        step()
        result = await work(*args)
        step()
        return result

    setattr(owner, name, watched)


async def _is_valid(folder: Path) -> None:
    """Check the trail that a killed process left, and again after the next process."""
    store = SqliteStore(folder)
    await store.open()
    again = Trail(folder, FakeClock(), store, SigningKeys([NEW]))
    again.clock.move(402 * DAY)
    assert await again.breaks() == []
    await again.write(1)
    await again.sealer.prune()
    report = await again.report()
    assert (report.breaks, report.unsealed) == ([], 0)
    await store.close()
