"""Access control of policies and consent, with the worlds and the model of `test_access_property`."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from hypothesis import given, settings

from recordings.model.account import Account, Principal, Scope
from recordings.model.errors import Forbidden, NotFound, Refused
from recordings.model.ids import new_id, new_recording_id
from recordings.model.recording_policy import DocumentKind, PolicyCall, PolicyDocument, PolicyScope
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.consents import Consents
from recordings.use_cases.policies import Policies, PolicyChange
from recordings.use_cases.policy_reader import PolicyReader
from tests.domain.test_access_property import World, comparable, worlds
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_store import MemoryStore

Call = Callable[[Policies, Principal, str], Awaitable[Any]]
ACCOUNT, USER, DEVICE = DocumentKind
ADA: Final = "ada"
SECRET: Final = {"call_recording": {"account": {"any": {"any": {"enabled": True, "url": "ftp://u:secret@x/"}}}}}


def _read(kind: DocumentKind, identity: str | None) -> Call:
    return lambda policies, caller, account: policies.document(caller, kind, identity, account)


def _put(kind: DocumentKind, identity: str | None) -> Call:
    return lambda policies, caller, account: policies.put_body(caller, kind, {"owner_id": ADA}, identity, account)


def _patch(kind: DocumentKind, identity: str | None) -> Call:
    return lambda policies, caller, account: policies.patch_body(caller, kind, {"x": 1}, identity, account)


def _set(scope: PolicyScope, identity: str | None) -> Call:
    change = PolicyChange(scope=scope, id=identity, cells={"any": {"any": {"enabled": True}}})
    return lambda policies, caller, account: policies.set(caller, change, account)


READS: Final[dict[str, tuple[str | None, Call]]] = {
    "document of the account": (None, _read(ACCOUNT, None)),
    "document of ada": (ADA, _read(USER, ADA)),
    "document of ada's device": (ADA, _read(DEVICE, "phone")),
    "explain": (
        ADA,
        lambda policies, caller, account: policies.explain(caller, PolicyCall(), account_id=account, owner_id=ADA),
    ),
    "explain the device": (
        ADA,
        lambda policies, caller, account: policies.explain(
            caller, PolicyCall(), account_id=account, endpoint_id="phone"
        ),
    ),
}
"""By name: the owner whose objects they read (`None`: any owner of the account may read them), and the call."""
WRITES: Final[dict[str, tuple[str | None, Call]]] = {
    f"{name} {kind}": (owner, make(kind, identity))
    for name, make in (("put_body", _put), ("patch_body", _patch))
    for kind, owner, identity in ((ACCOUNT, None, None), (USER, ADA, ADA), (DEVICE, ADA, "phone"))
} | {
    f"set {scope}": (owner, _set(scope, identity))
    for scope, owner, identity in (
        (PolicyScope.ACCOUNT, None, None),
        (PolicyScope.ENDPOINT_DEFAULT, None, None),
        (PolicyScope.USER, ADA, ADA),
        (PolicyScope.DEVICE, ADA, "phone"),
    )
}


class Installation:
    """The use cases on the accounts of a world. Each account has a document, and a device of ada."""

    def __init__(self, world: World) -> None:
        self.store, self.audit, clock = MemoryStore(), MemoryAudit(), FakeClock()
        self.store.known = {id: Account(id, "name", 0, tuple(reversed(world.lineage(id)[1:]))) for id in world.parents}
        self.store.recordings = {item.id: item for item in world.recordings}
        for account_id in world.parents:
            for kind, identity, body in ((ACCOUNT, account_id, SECRET), (DEVICE, "phone", {"owner_id": ADA})):
                self.store.policies[account_id, kind, identity] = PolicyDocument(
                    account_id=account_id, kind=kind, id=identity, body=body, revision=1
                )
        store = cast("MetadataStore", self.store)
        self.recorder = FakeRecorder(clock)
        self.policies = Policies(store=store, reader=PolicyReader(store, clock), clock=clock, audit=self.audit)
        self.consents = Consents(store=store, recorder=self.recorder, clock=clock, audit=self.audit, wake=lambda: None)

    def snapshot(self) -> Any:
        return dict(self.store.policies), dict(self.store.recordings), list(self.audit.entries), self.recorder.commands


async def outcome(installation: Installation, action: Awaitable[Any]) -> Any:
    """Return the result or the error. An error must not change anything."""
    before = installation.snapshot()
    try:
        return await action
    except Refused as error:
        assert installation.snapshot() == before
        return error


def test_every_use_case_is_checked() -> None:
    names = {name for name, function in inspect.getmembers(Policies, inspect.iscoroutinefunction) if name[0] != "_"}
    # `warnings` takes a document that the caller has saved.
    checked = {name.split()[0] for name in (*READS, *WRITES)} | {"devices", "warnings"}
    assert names == checked
    public = {name for name, function in inspect.getmembers(Consents, inspect.iscoroutinefunction) if name[0] != "_"}
    assert public == {"answer"}


@given(world=worlds())
@settings(max_examples=60)
async def test_access_to_policies(world: World) -> None:
    caller = world.principal
    for name, (owner, call) in (READS | WRITES).items():
        is_write = name in WRITES
        for account_id in world.parents:
            installation = Installation(world)
            result = await outcome(installation, call(installation.policies, caller, account_id))
            is_own = caller.owner_id is None or owner in {None, caller.owner_id}
            if not world.has_scope(Scope.ADMIN if is_write else Scope.READ) or (
                is_write and owner is None and caller.owner_id is not None
            ):
                assert isinstance(result, Forbidden), name
            elif not world.can_access_account(account_id):
                unknown = new_id()
                missing = await outcome(installation, call(installation.policies, caller, unknown))
                assert comparable(result, account_id) == comparable(missing, unknown), name
                assert isinstance(result, NotFound), name
            elif not is_own:
                assert isinstance(result, NotFound), name
            else:
                assert not isinstance(result, Refused), (name, result)
                _shows_a_url_only_with_control(name, result, caller)


def _shows_a_url_only_with_control(name: str, result: Any, caller: Principal) -> None:
    if name == "document of the account":
        may = caller.owner_id is None and bool(caller.scopes & {Scope.CONTROL, Scope.ADMIN})
        assert ("secret" in str(result.body)) == may


@given(world=worlds())
@settings(max_examples=40)
async def test_access_to_devices_and_consent(world: World) -> None:
    installation = Installation(world)
    for account_id in world.parents:
        found = await outcome(installation, installation.policies.devices(world.principal, account_id))
        if not world.has_scope(Scope.READ):
            assert isinstance(found, Forbidden)
        elif not world.can_access_account(account_id):
            assert isinstance(found, NotFound)
        else:
            assert len(found) == (world.principal.owner_id in {None, ADA})
    for item in world.recordings:
        answer = await outcome(installation, installation.consents.answer(world.principal, item.id, given=True))
        if not world.has_scope(Scope.CONTROL):
            assert isinstance(answer, Forbidden)
        elif not world.can_access(item):
            unknown = new_recording_id(0)
            missing = await outcome(installation, installation.consents.answer(world.principal, unknown, given=True))
            assert comparable(answer, item.id) == comparable(missing, unknown)
        else:
            assert not isinstance(answer, Forbidden | NotFound)
