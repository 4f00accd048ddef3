"""Access control: every use case, with random principals and objects, is compared with a short model."""

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.model.account import DEFAULT_SCOPES, GRANTABLE, Account, Principal, Scope
from recordings.model.audit_entry import (
    SYSTEM,
    AuditAction,
    AuditEntry,
    AuditFilter,
    AuditObject,
    Link,
    Origin,
)
from recordings.model.errors import Forbidden, NotFound, NotRecording, Refused
from recordings.model.feed_event import EventCursor, EventSelection, EventType, FeedEvent
from recordings.model.ids import new_id, new_recording_id
from recordings.model.query import MAX_PAGE, And, Count, Order, OrderField, Page, PageRequest, Query
from recordings.model.recording import Media, Recording, Shelf, State
from recordings.model.retention import Retention
from recordings.model.stats import Dimension, Period, StatsQuery
from recordings.model.user import PrivLevel, User, UserField
from recordings.ports.audit_store import TrailPage
from recordings.ports.call_updates import LiveCalls
from recordings.ports.live_events import LiveEvents
from recordings.ports.parallel import Action
from recordings.ports.recording_store import MetadataStore
from recordings.rules.audit_chain import link
from recordings.rules.media_grants import Grant
from recordings.use_cases.account_lists import AccountLists
from recordings.use_cases.administration import Administration
from recordings.use_cases.audit_log import AuditLog
from recordings.use_cases.bulk_actions import BulkActions
from recordings.use_cases.call_feed import CallFeed
from recordings.use_cases.event_feed import EventFeed
from recordings.use_cases.export_recordings import BY_CHANGE, BY_START, ExportRequest, Exports
from recordings.use_cases.playback import Playback, Plays
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.start import StartRequest
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_store import MemoryStore

OWNERS = (None, "ada", "bob")
STATES = (State.RECORDING, State.STORED, State.TRASHED, State.PURGED, State.FAILED)
WITHOUT_PRINCIPAL = frozenset({"on_event"})
"""Use cases without a caller: recorders belong to the installation."""


# The model


@dataclass(frozen=True)
class World:
    """Accounts by id with their parents, their recordings, and the caller."""

    parents: dict[str, str | None]
    recordings: tuple[Recording, ...]
    principal: Principal

    def lineage(self, account_id: str) -> list[str]:
        """Return an account and all its ancestors."""
        parent = self.parents[account_id]
        return [account_id, *(self.lineage(parent) if parent else [])]

    def can_access_account(self, account_id: str) -> bool:
        caller = self.principal
        if caller.owner_id is not None:
            return account_id == caller.account_id
        return caller.account_id in self.lineage(account_id)

    def can_access(self, recording: Recording) -> bool:
        is_own = self.principal.owner_id in {None, recording.owner_id}
        return is_own and recording.state is not State.PURGED and self.can_access_account(recording.account_id)

    def has_scope(self, scope: Scope) -> bool:
        return scope in self.principal.scopes


@st.composite
def worlds(draw: st.DrawFn) -> World:
    ids = [f"{number:032x}" for number in range(draw(st.integers(2, 5)))]
    parents = {here: draw(st.sampled_from([None, *ids[:number]])) for number, here in enumerate(ids)}
    kinds = st.tuples(st.sampled_from(ids), st.sampled_from(OWNERS), st.sampled_from(STATES))
    kept = [recording(number, *kind) for number, kind in enumerate(draw(st.lists(kinds, min_size=3, max_size=8)))]
    principal = Principal(
        draw(st.sampled_from(ids)),
        draw(st.frozensets(st.sampled_from([*GRANTABLE, Scope.INGEST]))),
        draw(st.sampled_from(OWNERS)),
        "caller",
    )
    return World(parents, tuple(kept), principal)


def recording(number: int, account_id: str, owner_id: str | None, state: State) -> Recording:
    trashed = state in {State.TRASHED, State.PURGED}
    media = (
        Media("local:x", "audio/mpeg", 1, 1_000, 8_000, 1, "00", 0) if state in {State.STORED, State.TRASHED} else None
    )
    return Recording(
        id=f"202611-{number:032x}",
        account_id=account_id,
        owner_id=owner_id,
        state=state,
        start=number,
        created=number,
        modified=number,
        call_id=f"call-{number}",
        from_="a@b",
        to="c@d",
        media=media,
        trashed_from=State.STORED if trashed else None,
        purge_at=10**15 if trashed else None,
    )


# The use cases

Call = Callable[[Recordings, Principal, str], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """A use case: how to call it with an id, and the scope that it needs."""

    scope: Scope | None
    call: Call


BY_GRANT = {
    # The scope was checked when the grant was made.
    "listen_with_grant": Case(
        None, lambda service, caller, id: service.plays.listen_with_grant(Grant(id, 1, caller), 0)
    )
}
BY_RECORDING = {
    "listen": Case(Scope.LISTEN, lambda service, caller, id: service.plays.listen(caller, id)),
    "stop": Case(Scope.CONTROL, Recordings.stop),
    "pause": Case(Scope.CONTROL, Recordings.pause),
    "resume": Case(Scope.CONTROL, Recordings.resume),
    "mask": Case(Scope.CONTROL, Recordings.mask),
    "unmask": Case(Scope.CONTROL, Recordings.unmask),
    "update": Case(
        Scope.CONTROL, lambda service, caller, id: service.update(caller, id, {"user_metadata": {"note": "x"}})
    ),
    "delete": Case(Scope.DELETE, Recordings.delete),
    "restore": Case(Scope.DELETE, Recordings.restore),
    "redeliver": Case(Scope.CONTROL, Recordings.redeliver),
    "hold": Case(Scope.ADMIN, lambda service, caller, id: service.hold(caller, id, "case 7")),
    "release": Case(Scope.ADMIN, Recordings.release),
}
"""They raise `NotFound` without access."""
BULK = {
    "delete": Case(
        Scope.DELETE, lambda service, caller, id: _granted(BulkActions(service, in_turn).delete(caller, [id]))
    ),
    "restore": Case(
        Scope.DELETE, lambda service, caller, id: _granted(BulkActions(service, in_turn).restore(caller, [id]))
    ),
    "hold": Case(
        Scope.ADMIN, lambda service, caller, id: _granted(BulkActions(service, in_turn).hold(caller, [id], "case 7"))
    ),
}
READS = {
    "find": Case(Scope.READ, Recordings.find),
    "find_many": Case(Scope.READ, lambda service, caller, id: _only(service.find_many(caller, [id]))),
}
"""They return `None` without access."""
FIRST = PageRequest(limit=MAX_PAGE)


def changes_of(account_id: str) -> Query:
    return Query(account_id=account_id, shelf=None, order=Order(OrderField.MODIFIED))


BY_ACCOUNT = {
    "account": Case(None, Recordings.account),
    "page": Case(Scope.READ, lambda service, caller, id: service.page(caller, Query(account_id=id), FIRST)),
    "count": Case(Scope.READ, lambda service, caller, id: service.count(caller, Query(account_id=id))),
    "page of changes": Case(Scope.READ, lambda service, caller, id: service.page(caller, changes_of(id), FIRST)),
    "count of changes": Case(Scope.READ, lambda service, caller, id: service.count(caller, changes_of(id))),
    "children": Case(Scope.READ, lambda service, caller, id: service.lists.children(caller, id)),
    "count_children": Case(Scope.READ, lambda service, caller, id: service.lists.count_children(caller, id)),
    "descendants": Case(Scope.READ, lambda service, caller, id: service.lists.descendants(caller, id)),
    "calls": Case(Scope.READ, lambda service, caller, id: service.lists.calls(caller, id)),
    "count_calls": Case(Scope.READ, lambda service, caller, id: service.lists.count_calls(caller, id)),
    "quota": Case(Scope.READ, lambda service, caller, id: service.quotas.quota(caller, id)),
    "usage": Case(Scope.READ, lambda service, caller, id: service.quotas.usage(caller, id)),
}
OF_CHANGES = {"page of changes", "count of changes"}
BY_CALL = {
    "start": Case(
        Scope.CONTROL, lambda service, caller, id: service.start(caller, StartRequest(call_id="live", account_id=id))
    ),
    "call": Case(Scope.READ, lambda service, caller, id: service.call(caller, "live", id)),
    "active": Case(Scope.READ, lambda service, caller, id: service.active(caller, "taken", id)),
}
"""They take a call of an account. `live` can be recorded, and `taken` is being recorded. Both belong to ada."""


async def _only(found: Awaitable[list[Any]]) -> Any:
    return (await found)[0]


async def in_turn(actions: Sequence[Action]) -> list[Any]:
    results: list[Any] = []
    for action in actions:
        try:
            results.append(await action())
        except Refused as refused:
            results.append(refused)
    return results


async def _granted(results: Awaitable[list[Any]]) -> Any:
    result = await _only(results)
    if isinstance(result, Refused):
        raise result
    return result


def use_cases(kind: type = Recordings) -> dict[str, Any]:
    return {
        name: function
        for name, function in inspect.getmembers(kind, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


def test_every_use_case_is_checked() -> None:
    checked = {name for name, function in use_cases().items() if "principal" in inspect.signature(function).parameters}
    checked |= use_cases(AccountLists).keys()
    checked |= use_cases(Plays).keys() - BY_GRANT.keys()
    checked |= {"quota", "usage"}
    assert checked == BY_RECORDING.keys() | READS.keys() | (BY_ACCOUNT.keys() - OF_CHANGES) | BY_CALL.keys()
    assert use_cases().keys() - checked == WITHOUT_PRINCIPAL
    assert BY_GRANT.keys() < use_cases(Plays).keys()
    assert use_cases(BulkActions).keys() == BULK.keys()


# The product


class Installation:
    """The use cases on the data of a world, and everything that they can change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = MemoryStore()
        self.store.known = {id: Account(id, "name", 0, tuple(reversed(world.lineage(id)[1:]))) for id in world.parents}
        self.store.recordings = {item.id: item for item in world.recordings}
        self.clock, self.audit = FakeClock(), MemoryAudit()
        self.recorder = FakeRecorder(self.clock)
        self.service = Recordings(
            store=cast("MetadataStore", self.store),
            recorder=self.recorder,
            clock=self.clock,
            audit=self.audit,
            wake=lambda: None,
            node="n" * 32,
        )

    def snapshot(self) -> Any:
        return dict(self.store.recordings), list(self.recorder.commands), list(self.audit.entries)

    async def call(self, case: Case, id: str) -> Any:
        """Return the result or the error. An error must not change anything."""
        before = self.snapshot()
        try:
            return await case.call(self.service, self.world.principal, id)
        except Refused as error:
            assert self.snapshot() == before
            return error


def comparable(error: Any, id: str) -> tuple[Any, ...]:
    """Return all parts of an error, without the id in the request."""
    assert isinstance(error, Refused)
    return type(error), error.message.replace(id, "?"), error.path, (error.recording_id or "").replace(id, "?")


@given(world=worlds())
@settings(max_examples=80)
async def test_access_to_recordings(world: World) -> None:
    for name, case in (*BY_RECORDING.items(), *BY_GRANT.items(), *READS.items(), *BULK.items()):
        for item in world.recordings:
            installation = Installation(world)
            result = await installation.call(case, item.id)
            if name not in READS and isinstance(result, Refused):
                assert len(installation.audit.refusals) == 1, name
            if case.scope is not None and not world.has_scope(case.scope):
                unknown = new_recording_id(0)
                assert comparable(result, item.id) == comparable(await installation.call(case, unknown), unknown), name
                assert isinstance(result, Forbidden), name
            elif not world.can_access(item) or (name in BY_GRANT and item.shelf is not Shelf.LIVE):
                await _equals_an_unknown_recording(installation, case, item.id, result)
            else:
                _is_granted(name, result, item)


async def _equals_an_unknown_recording(installation: Installation, case: Case, id: str, result: Any) -> None:
    unknown = new_recording_id(0)
    missing = await installation.call(case, unknown)
    if result is None:
        assert missing is None
    else:
        assert isinstance(result, NotFound)
        assert comparable(result, id) == comparable(missing, unknown)


def _is_granted(name: str, result: Any, item: Recording) -> None:
    # The recording's state may not allow the action. That error shows that the recording exists.
    if isinstance(result, Refused):
        assert not isinstance(result, Forbidden | NotFound), name
    elif isinstance(result, Recording | Playback):
        assert (result.recording if isinstance(result, Playback) else result).id == item.id, name
    else:
        assert result["id"] == item.id, name


@given(world=worlds())
@settings(max_examples=80)
async def test_access_to_accounts(world: World) -> None:
    for name, case in BY_ACCOUNT.items():
        for account_id in world.parents:
            installation = Installation(world)
            installation.recorder.ring(account_id, "live", "ada")
            result = await installation.call(case, account_id)
            if case.scope is not None and not world.has_scope(case.scope):
                assert isinstance(result, Forbidden), name
            elif not world.can_access_account(account_id):
                unknown = new_id()
                assert isinstance(result, NotFound), name
                assert comparable(result, account_id) == comparable(await installation.call(case, unknown), unknown), (
                    name
                )
            else:
                _has_only_accessible_items(name, result, world, account_id)


def _has_only_accessible_items(name: str, result: Any, world: World, account_id: str) -> None:
    here = {item.id for item in world.recordings if item.account_id == account_id and world.can_access(item)}
    live = {item.id for item in world.recordings if item.id in here and item.shelf is Shelf.LIVE}
    if name in {"quota", "usage"}:
        # One owner cannot read them.
        assert isinstance(result, Forbidden) == (world.principal.owner_id is not None)
    elif name == "page":
        assert {row["id"] for row in result.rows} == live
    elif name == "count":
        assert result.number == len(live)
    elif name in OF_CHANGES:
        _has_all_shelves(result, world, account_id)
    elif name == "children":
        assert {account.id for account in result.items} == children_of(world, account_id)
    elif name == "count_children":
        assert result == len(children_of(world, account_id))
    elif name == "descendants":
        below = {id for id in world.parents if account_id in world.lineage(id)[1:]}
        assert set(result) == {id for id in below if world.can_access_account(id)}
    elif name == "calls":
        assert len(result.items) == (world.principal.owner_id in {None, "ada"})
    elif name == "count_calls":
        assert result == (world.principal.owner_id in {None, "ada"})
    else:
        assert result.id == account_id


async def _events_of(world: World, account_id: str, *, descendants: bool) -> Any:
    installation = Installation(world)
    for item in world.recordings:
        event = FeedEvent(
            account_id=item.account_id, subject=item.id, revision=0, type=EventType.AMENDED, time=0, state=item.state
        )
        installation.store.add(event)
    policy = FeedEvent(account_id=account_id, subject="policy", revision=0, type=EventType.POLICY_CHANGED, time=0)
    installation.store.add(policy)
    feed = EventFeed(cast("MetadataStore", installation.store), cast("LiveEvents", None), installation.audit)
    selection = EventSelection(account_id=account_id, descendants=descendants)
    try:
        return (await feed.page(world.principal, selection, EventCursor(), MAX_PAGE)).events
    except Refused as refused:
        return refused


@given(world=worlds(), descendants=st.booleans())
@settings(max_examples=80)
async def test_access_to_events(world: World, descendants: bool) -> None:
    owner = world.principal.owner_id
    for account_id in world.parents:
        result = await _events_of(world, account_id, descendants=descendants)
        if not world.has_scope(Scope.READ):
            assert isinstance(result, Forbidden)
        elif not world.can_access_account(account_id):
            unknown = new_id()
            missing = await _events_of(world, unknown, descendants=descendants)
            assert isinstance(result, NotFound)
            assert comparable(result, account_id) == comparable(missing, unknown)
        else:
            below = [each for each in world.parents if account_id in world.lineage(each)]
            accounts = below if descendants and owner is None else [account_id]
            expected = {
                item.id for item in world.recordings if item.account_id in accounts and owner in {None, item.owner_id}
            }
            assert {read.event.subject for read in result} == expected | ({"policy"} if owner is None else set())
            for read in result:
                if read.row is not None and read.row["state"] == State.PURGED:
                    assert (read.row["call_id"], read.row["owner_id"], read.row["trashed_from"]) == ("", None, None)


class _OpenedCalls:
    """Live calls that only say whose calls a reader gets."""

    async def open(self, account_id: str, owner_id: str | None, *_: Any) -> tuple[str, str | None]:
        return account_id, owner_id


async def _calls_of(world: World, account_id: str) -> Any:
    installation = Installation(world)
    feed = CallFeed(cast("MetadataStore", installation.store), cast("LiveCalls", _OpenedCalls()), installation.audit)
    try:
        return await feed.follow(world.principal, account_id)
    except Refused as refused:
        return refused


@given(world=worlds())
@settings(max_examples=40)
async def test_access_to_changes_of_live_calls(world: World) -> None:
    for account_id in world.parents:
        result = await _calls_of(world, account_id)
        if not world.has_scope(Scope.READ):
            assert isinstance(result, Forbidden)
        elif not world.can_access_account(account_id):
            unknown = new_id()
            assert isinstance(result, NotFound)
            assert comparable(result, account_id) == comparable(await _calls_of(world, unknown), unknown)
        else:
            assert result == (account_id, world.principal.owner_id)


async def _exported(world: World, account_id: str, order: Order) -> Any:
    installation = Installation(world)
    exports = Exports(cast("MetadataStore", installation.store), installation.audit)
    request = ExportRequest(
        account_id=account_id, order=order, where=And(()), after=None, fields=frozenset({"id", "call_id"})
    )
    try:
        return [row async for chunk in await exports.open(world.principal, request) for row in chunk]
    except Refused as refused:
        assert installation.audit.entries == []
        return refused


@given(world=worlds(), order=st.sampled_from([BY_START, BY_CHANGE]))
@settings(max_examples=80)
async def test_access_to_exports(world: World, order: Order) -> None:
    for account_id in world.parents:
        result = await _exported(world, account_id, order)
        if not world.has_scope(Scope.READ):
            assert isinstance(result, Forbidden)
        elif not world.can_access_account(account_id):
            unknown = new_id()
            assert isinstance(result, NotFound)
            assert comparable(result, account_id) == comparable(await _exported(world, unknown, order), unknown)
        elif order == BY_CHANGE:
            _has_all_shelves(Page(result, has_more=False), world, account_id)
        else:
            _has_only_accessible_items("page", Page(result, has_more=False), world, account_id)


def _has_all_shelves(result: Any, world: World, account_id: str) -> None:
    owner = world.principal.owner_id
    expected = {
        item.id: item for item in world.recordings if item.account_id == account_id and owner in {None, item.owner_id}
    }
    if isinstance(result, Count):
        assert result.number == len(expected)
        return
    assert {row["id"] for row in result.rows} == expected.keys()
    for row in result.rows:
        if row["state"] == State.PURGED:
            assert (row["call_id"], row["owner_id"], row["trashed_from"]) == ("", None, None)
        else:
            assert row["call_id"] == expected[row["id"]].call_id


@given(world=worlds(), descendants=st.booleans())
@settings(max_examples=60)
async def test_the_audit_trail_of_accessible_accounts_needs_the_scope_admin(world: World, descendants: bool) -> None:
    for account_id in (*world.parents, new_id()):
        installation = Installation(world)
        store = cast("MetadataStore", TrailStore(world))
        log = AuditLog(store, installation.audit)
        try:
            wanted = AuditFilter(account_id=account_id)
            result: Any = await log.page(world.principal, wanted, MAX_PAGE, descendants=descendants)
        except Refused as refused:
            result = refused
        is_known = account_id in world.parents and world.can_access_account(account_id)
        if not world.has_scope(Scope.ADMIN) or world.principal.owner_id is not None:
            assert isinstance(result, Forbidden)
        elif not is_known:
            assert isinstance(result, NotFound)
        else:
            below = {here for here in world.parents if account_id in world.lineage(here)}
            expected = below if descendants else {account_id}
            assert {item.entry.account_id for item in result.items} == expected
        refused_entries = [("read_trail", None)] if isinstance(result, Refused) else []
        assert installation.audit.refusals == refused_entries


class TrailStore(MemoryStore):
    """A store that has one entry in the trail of each account."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.known = Installation(world).store.known

    async def trail_page(self, filter: AuditFilter, limit: int, after: Any = None) -> TrailPage:
        entry = AuditEntry(
            id=filter.account_id,
            at=1,
            account_id=filter.account_id,
            actor=SYSTEM,
            origin=Origin(),
            action=AuditAction.HOLD,
            object=AuditObject("recording"),
        )
        return TrailPage([link(entry, "n", Link())], None)


@given(world=worlds(), descendants=st.booleans(), trashed=st.booleans())
@settings(max_examples=80)
async def test_figures_are_of_accessible_recordings_only(world: World, descendants: bool, trashed: bool) -> None:
    groups = (Dimension.ACCOUNT, Dimension.OWNER)
    for account_id in (*world.parents, new_id()):
        installation = Installation(world)
        query = StatsQuery(period=Period(0, 1_000), account_id=account_id, descendants=descendants, trashed=trashed)
        result = await installation.call(_figures_of(replace(query, group_by=groups)), account_id)
        if not world.has_scope(Scope.READ):
            assert isinstance(result, Forbidden)
        elif account_id not in world.parents or not world.can_access_account(account_id):
            unknown = new_id()
            missing = await installation.call(_figures_of(replace(query, account_id=unknown)), unknown)
            assert comparable(result, account_id) == comparable(missing, unknown)
            assert isinstance(result, NotFound)
        else:
            shelf = Shelf.TRASH if trashed else Shelf.LIVE
            below = [here for here in world.parents if account_id in world.lineage(here)]
            accounts = below if descendants else [account_id]
            expected = Counter(
                (item.account_id, item.owner_id)
                for item in world.recordings
                if item.account_id in accounts and item.shelf is shelf and world.can_access(item)
            )
            assert {(row.account_id, row.owner_id): row.count for row in result.rows} == dict(expected)
            assert result.total.count == expected.total()


def _figures_of(query: StatsQuery) -> Case:
    return Case(Scope.READ, lambda service, caller, _id: service.stats.figures(caller, query))


# The administration of accounts

ADMINISTRATOR = f"{1:032x}"
USER = f"{2:032x}"
LEVELS = {ADMINISTRATOR: PrivLevel.ADMIN, USER: PrivLevel.USER}
Manage = Callable[[Administration, Principal, str], Awaitable[Any]]
ADMINISTRATION: dict[str, tuple[set[Scope], Manage]] = {
    "rules": (set(), Administration.rules),
    "set_rule": ({Scope.DELETE}, lambda admin, caller, id: admin.set_rule(caller, id, Retention(7))),
    "clear_rule": ({Scope.DELETE}, lambda admin, caller, id: admin.clear_rule(caller, id, None)),
    "keys": (set(), Administration.keys),
    "create_key": ({Scope.LISTEN}, lambda admin, caller, id: admin.create_key(caller, id, None, {Scope.LISTEN})),  # type: ignore[arg-type]
    "revoke_key": (set(), lambda admin, caller, id: admin.revoke_key(caller, id, new_id())),
    "ingest_addresses": (set(), Administration.ingest_addresses),
    "create_ingest": (set(), lambda admin, caller, id: admin.create_ingest(caller, id, record_all=True)),
    "revoke_ingest": (set(), lambda admin, caller, id: admin.revoke_ingest(caller, id, new_id())),
    "users": (set(), Administration.users),
    "create_user": (
        set(GRANTABLE),
        lambda admin, caller, id: admin.create_user(
            caller, id, username="x", password="short", is_admin=True, texts={}
        ),
    ),
    "update_user": (
        set(GRANTABLE),
        lambda admin, caller, id: admin.update_user(caller, id, USER, {UserField.PRIV_LEVEL: "admin"}),
    ),
    "set_password": (set(GRANTABLE), lambda admin, caller, id: admin.set_password(caller, id, ADMINISTRATOR, "short")),
    "set_disabled": (
        set(DEFAULT_SCOPES),
        lambda admin, caller, id: admin.set_disabled(caller, id, USER, is_disabled=True),
    ),
    "delete_user": (set(DEFAULT_SCOPES), lambda admin, caller, id: admin.delete_user(caller, id, USER)),
}
"""The scopes that each use case needs in addition to ADMIN."""


class AdminStore:
    """A store with the accounts of a world. Each has two users. `changes` has the names of all writes."""

    def __init__(self, world: World) -> None:
        self.known = Installation(world).store.known
        self.changes: list[str] = []

    async def account(self, account_id: str) -> Account | None:
        return self.known.get(account_id)

    async def user(self, account_id: str, user_id: str) -> User:
        return User(id=user_id, account_id=account_id, username="ada", created=0, priv_level=LEVELS[user_id])

    async def users(self, *_: Any) -> list[User]:
        return []

    keys = ingest_addresses = users

    async def disabled(self, _account_id: str) -> dict[str, int]:
        return {}

    async def retention_run(self, _account_id: str) -> None:
        """There was no run before."""

    def __getattr__(self, name: str) -> Any:
        async def change(*_: Any) -> bool:
            self.changes.append(name)
            return True

        return change


class WatchedAudit(MemoryAudit):
    """An audit trail that also has the callers of all entries."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[Principal | None] = []

    async def record(self, principal: Principal | None, *arguments: Any, **details: Any) -> str:
        """Append the caller and the action."""
        self.callers.append(principal)
        return await super().record(principal, *arguments, **details)


def test_every_use_case_of_administration_is_checked() -> None:
    assert use_cases(Administration).keys() == ADMINISTRATION.keys()


@given(world=worlds(), name=st.sampled_from(sorted(ADMINISTRATION)))
@settings(max_examples=200)
async def test_administration_needs_the_scopes_and_access_to_the_whole_account(world: World, name: str) -> None:
    scopes, call = ADMINISTRATION[name]
    for account_id in (*world.parents, new_id()):
        store, audit = AdminStore(world), WatchedAudit()
        administration = Administration(cast("MetadataStore", store), FakeClock(), audit)
        try:
            result = await call(administration, world.principal, account_id)
        except Refused as refused:
            result = refused
        is_known = account_id in world.parents and world.can_access_account(account_id)
        may = is_known and world.principal.owner_id is None
        has_scopes = all(world.has_scope(scope) for scope in {Scope.ADMIN, *scopes})
        if not world.has_scope(Scope.ADMIN) or (may and not has_scopes):
            assert isinstance(result, Forbidden)
        elif not may:
            assert isinstance(result, Forbidden | NotFound)
        if not (may and has_scopes):
            assert store.changes == []
            assert audit.entries == []
            assert len(audit.refusals) == 1
        else:
            assert not isinstance(result, Forbidden)
            assert set(audit.callers) <= {world.principal}


def children_of(world: World, account_id: str) -> set[str]:
    return {id for id, parent in world.parents.items() if parent == account_id and world.can_access_account(id)}


def _page_of(query: Query) -> Call:
    return lambda service, caller, _id: service.page(caller, query, FIRST)


@given(world=worlds(), owner=st.sampled_from(["ada", "bob", "nobody"]), shelf=st.sampled_from(list(Shelf)))
@settings(max_examples=80)
async def test_a_list_has_only_accessible_recordings(world: World, owner: str, shelf: Shelf) -> None:
    for account_id in world.parents:
        query = Query(account_id=account_id, owner_id=owner, shelf=shelf)
        result = await Installation(world).call(Case(Scope.READ, _page_of(query)), account_id)
        if isinstance(result, Refused):
            continue
        expected = {item.id for item in world.recordings if item.account_id == account_id and item.owner_id == owner}
        accessible = {item.id for item in world.recordings if world.can_access(item) and item.shelf is shelf}
        assert {row["id"] for row in result.rows} == expected & accessible


@given(world=worlds(), shelf=st.sampled_from([Shelf.LIVE, Shelf.TRASH]))
@settings(max_examples=80)
async def test_a_list_of_several_accounts_needs_access_to_each(world: World, shelf: Shelf) -> None:
    first, *others = world.parents
    result = await Installation(world).call(
        Case(Scope.READ, _page_of(Query(account_id=first, descendants=tuple(others), shelf=shelf))), first
    )
    if not world.has_scope(Scope.READ):
        assert isinstance(result, Forbidden)
    elif not all(world.can_access_account(account_id) for account_id in world.parents):
        assert isinstance(result, NotFound)
    else:
        accessible = {item.id for item in world.recordings if world.can_access(item) and item.shelf is shelf}
        assert {row["id"] for row in result.rows} == accessible


@given(world=worlds())
@settings(max_examples=80)
async def test_access_to_calls(world: World) -> None:
    for name, case in BY_CALL.items():
        for account_id in world.parents:
            installation = Installation(world)
            installation.recorder.ring(account_id, "live", "ada")
            recorded = recording(999, account_id, "ada", State.RECORDING)
            installation.store.recordings[recorded.id] = Recording.from_row({**recorded.to_row(), "call_id": "taken"})
            result = await installation.call(case, account_id)
            is_own = world.principal.owner_id in {None, "ada"}
            if not world.has_scope(cast("Scope", case.scope)):
                assert isinstance(result, Forbidden), name
            elif not (world.can_access_account(account_id) and is_own):
                assert isinstance(result, NotFound | NotRecording), name
                await _equals_an_empty_installation(world, case, account_id, result)
            else:
                assert result.account_id == account_id, name


async def _equals_an_empty_installation(world: World, case: Case, account_id: str, result: Any) -> None:
    empty = await Installation(world).call(case, account_id)
    assert comparable(result, account_id) == comparable(empty, account_id)


@pytest.mark.parametrize("name", sorted(WITHOUT_PRINCIPAL))
def test_use_cases_without_a_caller_take_no_principal(name: str) -> None:
    assert "principal" not in inspect.signature(use_cases()[name]).parameters
