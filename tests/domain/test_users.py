"""Users: what is kept of a password, and the use cases around them."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from recordings.model.account import Scope
from recordings.model.errors import Forbidden, InvalidInput, InvalidState, NotFound
from recordings.model.events import Failed, Purged, Trashed
from recordings.model.installation import InstallationPolicy
from recordings.model.recording import Reason, State
from recordings.model.user import Method, PrivLevel, find_by_credential, hash_credential, hash_password
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import StartRequest
from recordings.use_cases.users import ManageUsers
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, Installation, open_installation, principal


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path, InstallationPolicy()) as opened:
        yield opened


@pytest.fixture
def members(house: Installation) -> ManageUsers:
    return ManageUsers(house.store, house.clock)


def digest(method: Method, text: str) -> str:
    return hashlib.new("sha1" if method is Method.SHA else "md5", text.encode()).hexdigest()


@pytest.mark.parametrize("method", Method)
def test_a_digest_is_recognised_and_cannot_be_read_from_what_is_kept(method: Method) -> None:
    kept = hash_password(ACCOUNT, "Ada", "Sesame")
    sent = digest(method, "ada:Sesame")
    assert hash_credential(ACCOUNT, method, sent.upper()) == kept.of(method)
    assert sent not in str(kept)
    assert hash_credential(ACCOUNT, method, kept.of(method)) != kept.of(method)


def test_the_same_password_is_kept_differently() -> None:
    kept = [hash_password(*whose, "Sesame") for whose in ((ACCOUNT, "ada"), (ACCOUNT, "bob"), (SIBLING, "ada"))]
    hashes = {text for each in kept for text in (each.md5, each.sha)}
    assert len(hashes) == 6


async def test_a_user_is_made_once(members: ManageUsers) -> None:
    user = await members.create(ACCOUNT, "Ada", "Sesame", first_name="A", priv_level=PrivLevel.ADMIN)
    assert (user.username, user.first_name, user.priv_level) == ("Ada", "A", PrivLevel.ADMIN)
    with pytest.raises(InvalidState):
        await members.create(ACCOUNT, "ADA")
    with pytest.raises(InvalidState):
        await members.create(ACCOUNT, "bob", user_id=user.id)
    assert (await members.create(SIBLING, "Ada")).passwords is None


async def test_whose_a_credential_is(members: ManageUsers) -> None:
    await members.create(ACCOUNT, "none")
    ada = await members.create(ACCOUNT, "Ada", "Sesame")
    hashed = hash_credential(ACCOUNT, Method.MD5, digest(Method.MD5, "ada:Sesame"))
    assert await members.find_by_credential(ACCOUNT, Method.MD5, hashed) == ada
    assert await members.find_by_credential(ACCOUNT, Method.SHA, hashed) is None
    assert await members.find_by_credential(SIBLING, Method.MD5, hashed) is None
    assert find_by_credential([], Method.MD5, hashed) is None


@pytest.mark.parametrize("username", ["", "x" * 129, "a\nb", "\ud800"])
async def test_a_name_has_its_bounds(members: ManageUsers, username: str) -> None:
    with pytest.raises(InvalidInput):
        await members.create(ACCOUNT, username)


async def test_an_id_has_its_form(members: ManageUsers) -> None:
    with pytest.raises(InvalidInput):
        await members.create(ACCOUNT, "ada", user_id="../ada")


@pytest.mark.parametrize("account", ["0" * 32, "no id"])
async def test_there_must_be_an_account(members: ManageUsers, account: str) -> None:
    with pytest.raises(NotFound):
        await members.create(account, "ada")


async def test_who_sees_which_users(members: ManageUsers) -> None:
    ada, bob = [await members.create(ACCOUNT, name) for name in ("ada", "bob")]
    assert set(await members.users(principal(), ACCOUNT)) == {ada, bob}
    assert await members.users(principal(owner_id=bob.id), ACCOUNT) == [bob]
    assert await members.users(principal(), CHILD) == []
    with pytest.raises(NotFound):
        await members.users(principal(CHILD), ACCOUNT)
    with pytest.raises(Forbidden):
        await members.users(principal(ACCOUNT, Scope.DELETE), ACCOUNT)


async def test_a_user_is_known_once_created_or_named_by_a_recording(house: Installation, members: ManageUsers) -> None:
    ada = await members.create(ACCOUNT, "ada")
    assert await members.is_known(principal(), ACCOUNT, ada.id)
    assert not await members.is_known(principal(), ACCOUNT, "owner")
    assert await members.is_known(principal(owner_id="owner"), ACCOUNT, "owner")
    for nothing in ("", "x" * 129, "\ud800", "a\0b"):
        assert not await members.is_known(principal(), ACCOUNT, nothing)


async def test_an_owner_does_not_learn_who_else_there_is(house: Installation, members: ManageUsers) -> None:
    ada = await members.create(ACCOUNT, "ada")
    house.recorder.ring(ACCOUNT, "call", owner_id="bob")
    await house.service.start(principal(), StartRequest(call_id="call"))
    for other in (ada.id, "bob", "nobody"):
        assert not await members.is_known(principal(owner_id="owner"), ACCOUNT, other)


async def test_a_user_does_not_vanish_with_the_last_recording(house: Installation, members: ManageUsers) -> None:

    house.recorder.ring(ACCOUNT, "call", owner_id="owner")
    recording = await house.service.start(principal(), StartRequest(call_id="call"))
    assert await members.is_known(principal(), ACCOUNT, "owner")
    await house.service.stop(principal(), recording.id)
    stopped = await house.store.load(recording.id)
    assert stopped is not None
    assert stopped.state is State.FINALIZING

    now = house.clock.now()
    failed = await RecordingWriter(house.store).save_event(stopped, Failed(at=now, reason=Reason.RECORDER_FAILED))
    trashed = await RecordingWriter(house.store).save_event(failed, Trashed(at=now, by="x", purge_at=now))
    assert await members.is_known(principal(), ACCOUNT, "owner")
    await RecordingWriter(house.store).save_event(trashed, Purged(at=now))
    assert await members.is_known(principal(), ACCOUNT, "owner")


async def test_accounts_by_name_realm_or_number(house: Installation, members: ManageUsers) -> None:
    assert [account.id for account in await members.find_accounts(name=" Par-ENT ")] == [ACCOUNT]
    assert [account.id for account in await members.find_accounts(realm=f"{'A' * 12}.sip.invalid")] == [ACCOUNT]
    account = await house.store.account(ACCOUNT)
    assert account is not None
    await house.store.save_account(replace(account, numbers=("+4930123", "030123")))
    for number in ("+4930123", "+49 (30) 1-23", "030123"):
        assert [account.id for account in await members.find_accounts(number=number)] == [ACCOUNT]
    for number in ("123", "+", ""):
        assert await members.find_accounts(number=number) == []
    # What is not found by one is looked for by the next.
    assert [account.id for account in await members.find_accounts(number="1", realm="x", name="parent")] == [ACCOUNT]
    assert await members.find_accounts(name="!") == []
    assert await members.find_accounts() == []
