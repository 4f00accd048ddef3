"""Who may do what: every use case, for anybody, on anything, against a model that fits on a page."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.model.account import GRANTABLE, Account, Principal, Scope
from recordings.model.errors import Forbidden, NotFound, NotRecording, Refused
from recordings.model.ids import new_id, new_recording_id
from recordings.model.query import MAX_PAGE, PageRequest, Query
from recordings.model.recording import Media, Recording, Shelf, State
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.start import StartRequest
from tests.support.fake_clock import StillClock
from tests.support.fake_recorder import ScriptedRecorder
from tests.support.memory_audit import ListAudit
from tests.support.memory_store import MemoryStore

OWNERS = (None, "ada", "bob")
STATES = (State.RECORDING, State.STORED, State.TRASHED, State.PURGED, State.FAILED)
UNBOUND = frozenset({"listen_with_grant", "on_event"})
"""Asked by nobody: what a grant says was signed, and recorders are the installation's own."""


# The model


@dataclass(frozen=True)
class World:
    """Accounts by id with their parents, recordings, and who asks."""

    parents: dict[str, str | None]
    recordings: tuple[Recording, ...]
    principal: Principal

    def line(self, account_id: str) -> list[str]:
        """An account and all above it."""
        parent = self.parents[account_id]
        return [account_id, *(self.line(parent) if parent else [])]

    def can_access_account(self, account_id: str) -> bool:
        who = self.principal
        if who.owner_id is not None:
            return account_id == who.account_id
        return who.account_id in self.line(account_id)

    def reaches(self, recording: Recording) -> bool:
        mine = self.principal.owner_id in {None, recording.owner_id}
        return mine and recording.state is not State.PURGED and self.can_access_account(recording.account_id)

    def may(self, scope: Scope) -> bool:
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
        "somebody",
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

Ask = Callable[[Recordings, Principal, str], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """How a use case is asked about a recording, a call or an account (by its id), and the scope that it needs."""

    scope: Scope | None
    ask: Ask


BY_RECORDING = {
    "listen": Case(Scope.LISTEN, Recordings.listen),
    "stop": Case(Scope.CONTROL, Recordings.stop),
    "pause": Case(Scope.CONTROL, Recordings.pause),
    "resume": Case(Scope.CONTROL, Recordings.resume),
    "mask": Case(Scope.CONTROL, Recordings.mask),
    "unmask": Case(Scope.CONTROL, Recordings.unmask),
    "annotate": Case(Scope.CONTROL, lambda service, who, id: service.annotate(who, id, {"note": "x"})),
    "delete": Case(Scope.DELETE, Recordings.delete),
    "restore": Case(Scope.DELETE, Recordings.restore),
    "redeliver": Case(Scope.CONTROL, Recordings.redeliver),
    "hold": Case(Scope.ADMIN, lambda service, who, id: service.hold(who, id, "case 7")),
    "release": Case(Scope.ADMIN, Recordings.release),
}
"""They raise `NotFound` for what is out of reach."""
LOOKS = {
    "find": Case(Scope.READ, Recordings.find),
    "find_many": Case(Scope.READ, lambda service, who, id: _only(service.find_many(who, [id]))),
}
"""They give `None` for what is out of reach."""
FIRST = PageRequest(limit=MAX_PAGE)
BY_ACCOUNT = {
    "account": Case(None, Recordings.account),
    "page": Case(Scope.READ, lambda service, who, id: service.page(who, Query(account_id=id), FIRST)),
    "count": Case(Scope.READ, lambda service, who, id: service.count(who, Query(account_id=id))),
    "calls": Case(Scope.READ, Recordings.calls),
}
BY_CALL = {
    "start": Case(
        Scope.CONTROL, lambda service, who, id: service.start(who, StartRequest(call_id="live", account_id=id))
    ),
    "call": Case(Scope.READ, lambda service, who, id: service.call(who, "live", id)),
    "active": Case(Scope.READ, lambda service, who, id: service.active(who, "taken", id)),
}
"""They are asked about a call in an account: `live` can be recorded, `taken` is being recorded; both are ada's."""


async def _only(found: Awaitable[list[Any]]) -> Any:
    return (await found)[0]


def use_cases() -> dict[str, Any]:
    return {
        name: function
        for name, function in inspect.getmembers(Recordings, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


def test_no_use_case_is_left_out() -> None:
    asked = {name for name, function in use_cases().items() if "principal" in inspect.signature(function).parameters}
    assert asked == BY_RECORDING.keys() | LOOKS.keys() | BY_ACCOUNT.keys() | BY_CALL.keys()
    assert use_cases().keys() - asked == UNBOUND


# The real thing


class Installation:
    """The use cases over a world, and everything that they could change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = MemoryStore()
        self.store.known = {id: Account(id, "name", 0, tuple(reversed(world.line(id)[1:]))) for id in world.parents}
        self.store.recordings = {one.id: one for one in world.recordings}
        self.clock, self.audit = StillClock(), ListAudit()
        self.recorder = ScriptedRecorder(self.clock)
        self.service = Recordings(
            store=cast("MetadataStore", self.store),
            recorder=self.recorder,
            clock=self.clock,
            audit=self.audit,
            wake=lambda: None,
            node="n" * 32,
        )

    def seen(self) -> Any:
        return dict(self.store.recordings), list(self.recorder.asked), list(self.audit.entries)

    async def ask(self, case: Case, id: str) -> Any:
        """The answer or the refusal. A refusal has changed nothing."""
        before = self.seen()
        try:
            return await case.ask(self.service, self.world.principal, id)
        except Refused as refused:
            assert self.seen() == before
            return refused


def shown(refused: Any, id: str) -> tuple[Any, ...]:
    """All that a refusal tells, but for the id that was asked for."""
    assert isinstance(refused, Refused)
    return type(refused), refused.message.replace(id, "?"), refused.path, (refused.recording_id or "").replace(id, "?")


@given(world=worlds())
@settings(max_examples=80)
async def test_what_is_asked_of_a_recording(world: World) -> None:
    for name, case in {**BY_RECORDING, **LOOKS}.items():
        for one in world.recordings:
            house = Installation(world)
            answer = await house.ask(case, one.id)
            if not world.may(cast("Scope", case.scope)):
                unknown = new_recording_id(0)
                assert shown(answer, one.id) == shown(await house.ask(case, unknown), unknown), name
                assert isinstance(answer, Forbidden), name
            elif not world.reaches(one):
                await _is_as_if_it_did_not_exist(house, case, one.id, answer)
            else:
                _is_granted(name, answer, one)


async def _is_as_if_it_did_not_exist(house: Installation, case: Case, id: str, answer: Any) -> None:
    unknown = new_recording_id(0)
    absent = await house.ask(case, unknown)
    if answer is None:
        assert absent is None
    else:
        assert isinstance(answer, NotFound)
        assert shown(answer, id) == shown(absent, unknown)


def _is_granted(name: str, answer: Any, one: Recording) -> None:
    # What its state does not allow may still be refused, in words that show that it is there.
    if isinstance(answer, Refused):
        assert not isinstance(answer, Forbidden | NotFound), name
    elif isinstance(answer, Recording):
        assert answer.id == one.id, name
    else:
        assert answer["id"] == one.id, name


@given(world=worlds())
@settings(max_examples=80)
async def test_what_is_asked_of_an_account(world: World) -> None:
    for name, case in BY_ACCOUNT.items():
        for account_id in world.parents:
            house = Installation(world)
            house.recorder.ring(account_id, "live", "ada")
            answer = await house.ask(case, account_id)
            if case.scope is not None and not world.may(case.scope):
                assert isinstance(answer, Forbidden), name
            elif not world.can_access_account(account_id):
                unknown = new_id()
                assert isinstance(answer, NotFound), name
                assert shown(answer, account_id) == shown(await house.ask(case, unknown), unknown), name
            else:
                _is_what_is_in_reach(name, answer, world, account_id)


def _is_what_is_in_reach(name: str, answer: Any, world: World, account_id: str) -> None:
    here = {one.id for one in world.recordings if one.account_id == account_id and world.reaches(one)}
    live = {one.id for one in world.recordings if one.id in here and one.shelf is Shelf.LIVE}
    if name == "page":
        assert {row["id"] for row in answer.rows} == live
    elif name == "count":
        assert answer == len(live)
    elif name == "calls":
        assert len(answer) == (world.principal.owner_id in {None, "ada"})
    else:
        assert answer.id == account_id


def _paging(query: Query) -> Ask:
    return lambda service, who, _id: service.page(who, query, FIRST)


@given(world=worlds(), owner=st.sampled_from(["ada", "bob", "nobody"]), shelf=st.sampled_from(list(Shelf)))
@settings(max_examples=80)
async def test_a_listing_never_shows_what_is_out_of_reach(world: World, owner: str, shelf: Shelf) -> None:
    for account_id in world.parents:
        query = Query(account_id=account_id, owner_id=owner, shelf=shelf)
        answer = await Installation(world).ask(Case(Scope.READ, _paging(query)), account_id)
        if isinstance(answer, Refused):
            continue
        expected = {one.id for one in world.recordings if one.account_id == account_id and one.owner_id == owner}
        reached = {one.id for one in world.recordings if world.reaches(one) and one.shelf is shelf}
        assert {row["id"] for row in answer.rows} == expected & reached


@given(world=worlds())
@settings(max_examples=80)
async def test_what_is_asked_of_a_call(world: World) -> None:
    for name, case in BY_CALL.items():
        for account_id in world.parents:
            house = Installation(world)
            house.recorder.ring(account_id, "live", "ada")
            taken = recording(999, account_id, "ada", State.RECORDING)
            house.store.recordings[taken.id] = Recording.from_row({**taken.to_row(), "call_id": "taken"})
            answer = await house.ask(case, account_id)
            mine = world.principal.owner_id in {None, "ada"}
            if not world.may(cast("Scope", case.scope)):
                assert isinstance(answer, Forbidden), name
            elif not (world.can_access_account(account_id) and mine):
                assert isinstance(answer, NotFound | NotRecording), name
                await _is_as_in_an_empty_house(world, case, account_id, answer)
            else:
                assert answer.account_id == account_id, name


async def _is_as_in_an_empty_house(world: World, case: Case, account_id: str, answer: Any) -> None:
    empty = await Installation(world).ask(case, account_id)
    assert shown(answer, account_id) == shown(empty, account_id)


@pytest.mark.parametrize("name", sorted(UNBOUND))
def test_what_nobody_asks_takes_no_principal(name: str) -> None:
    assert "principal" not in inspect.signature(use_cases()[name]).parameters
