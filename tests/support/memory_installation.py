"""The use cases with a real SQLite store, and a clock, a recorder and an audit log that tests control and examine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.metadata.sqlite import SqliteStore
from graph.policy_use_cases import PolicyUseCases
from graph.server.call_hub import CallHub
from graph.server.event_hub import EventHub
from recordings.model.account import DEFAULT_SCOPES, Account, Principal, Scope
from recordings.model.installation import InstallationPolicy
from recordings.use_cases.event_feed import EventFeed
from recordings.use_cases.recordings import Recordings
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit

ACCOUNT, CHILD, SIBLING = "a" * 32, "c" * 32, "5" * 32
NODE = "n" * 32


@dataclass
class Installation:
    """The parts of a test installation. `woken` has one item for each wake-up of the background work."""

    store: SqliteStore
    recorder: FakeRecorder
    clock: FakeClock
    audit: MemoryAudit
    service: Recordings
    woken: list[bool]
    policy: PolicyUseCases
    hub: EventHub
    events: EventFeed
    call_hub: CallHub


def principal(account_id: str = ACCOUNT, *scopes: Scope, owner_id: str | None = None) -> Principal:
    """Return a principal of an account. Default: the usual scopes."""
    return Principal(account_id, frozenset(scopes or DEFAULT_SCOPES), owner_id, "tester")


@asynccontextmanager
async def open_installation(folder: Path, policy: InstallationPolicy | None = None) -> AsyncIterator[Installation]:
    """Open an installation with three accounts: `ACCOUNT`, its child `CHILD`, and `SIBLING` without a parent.

    A second one in the same folder is another server of the same installation.
    """
    clock, audit, store = FakeClock(), MemoryAudit(), SqliteStore(folder)
    recorder = FakeRecorder(clock)
    await store.open()
    for account in (
        Account(ACCOUNT, "parent", clock.now()),
        Account(CHILD, "child", clock.now(), (ACCOUNT,)),
        Account(SIBLING, "sibling", clock.now()),
    ):
        await store.add_account(account)
    woken: list[bool] = []
    policy_use_cases = PolicyUseCases.connect(store, recorder, clock, audit, lambda: woken.append(True), node=NODE)
    service = Recordings(
        store=store,
        recorder=recorder,
        clock=clock,
        audit=audit,
        wake=lambda: woken.append(True),
        node=NODE,
        policy=policy,
        starter=policy_use_cases.starter,
    )
    hub, call_hub = EventHub(store), CallHub(recorder.live_calls, NODE, None)
    try:
        events = EventFeed(store, hub, audit)
        yield Installation(store, recorder, clock, audit, service, woken, policy_use_cases, hub, events, call_hub)
    finally:
        await call_hub.stop()
        await hub.stop()
        await store.close()
