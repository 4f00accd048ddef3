"""Users: the stored hashes of a password, and the use cases."""

import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from pathlib import Path

import pytest

from recordings.model.account import Account, Scope
from recordings.model.errors import Forbidden, InvalidInput, InvalidState, NotFound
from recordings.model.events import Failed, Purged, Trashed
from recordings.model.ids import new_id
from recordings.model.installation import InstallationPolicy
from recordings.model.recording import Reason, State
from recordings.model.user import Method, PrivLevel, UserField, hash_credential, hash_password
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import StartRequest
from recordings.use_cases.users import ManageUsers
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, Installation, open_installation, principal


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path, InstallationPolicy()) as opened:
        yield opened


@pytest.fixture
def users(installation: Installation) -> ManageUsers:
    return ManageUsers(installation.store, installation.clock, installation.audit)


def digest(method: Method, text: str) -> str:
    return hashlib.new("sha1" if method is Method.SHA else "md5", text.encode()).hexdigest()


@pytest.mark.parametrize("method", Method)
def test_a_digest_matches_its_hash_and_is_not_stored(method: Method) -> None:
    kept = hash_password(ACCOUNT, "Ada", "Sesame")
    sent = digest(method, "ada:Sesame")
    assert hash_credential(ACCOUNT, method, sent.upper()) == kept.of(method)
    assert sent not in str(kept)
    assert hash_credential(ACCOUNT, method, kept.of(method)) != kept.of(method)


def test_the_same_password_has_different_hashes() -> None:
    kept = [hash_password(*user, "Sesame") for user in ((ACCOUNT, "ada"), (ACCOUNT, "bob"), (SIBLING, "ada"))]
    hashes = {text for each in kept for text in (each.md5, each.sha)}
    assert len(hashes) == 6


async def test_a_user_is_created_once(users: ManageUsers) -> None:
    user = await users.create(ACCOUNT, "Ada", "Sesame", first_name="A", priv_level=PrivLevel.ADMIN)
    assert (user.username, user.first_name, user.priv_level) == ("Ada", "A", PrivLevel.ADMIN)
    with pytest.raises(InvalidState):
        await users.create(ACCOUNT, "ADA")
    with pytest.raises(InvalidState):
        await users.create(ACCOUNT, "bob", user_id=user.id)
    assert (await users.create(SIBLING, "Ada")).passwords is None


async def test_a_user_is_found_by_its_credential(users: ManageUsers) -> None:
    await users.create(ACCOUNT, "none")
    ada = await users.create(ACCOUNT, "Ada", "Sesame")
    hashed = hash_credential(ACCOUNT, Method.MD5, digest(Method.MD5, "ada:Sesame"))
    assert await users.find_by_credential(ACCOUNT, Method.MD5, hashed) == ada
    assert await users.find_by_credential(ACCOUNT, Method.SHA, hashed) is None
    assert await users.find_by_credential(SIBLING, Method.MD5, hashed) is None


@pytest.mark.parametrize("username", ["", "x" * 129, "a\nb", "\ud800"])
async def test_an_invalid_name_is_refused(users: ManageUsers, username: str) -> None:
    with pytest.raises(InvalidInput):
        await users.create(ACCOUNT, username)


async def test_an_invalid_id_is_refused(users: ManageUsers) -> None:
    with pytest.raises(InvalidInput):
        await users.create(ACCOUNT, "ada", user_id="../ada")


@pytest.mark.parametrize("account", ["0" * 32, "no id"])
async def test_a_user_needs_an_existing_account(users: ManageUsers, account: str) -> None:
    with pytest.raises(NotFound):
        await users.create(account, "ada")


async def test_users_are_listed_by_access(users: ManageUsers) -> None:
    ada, bob = [await users.create(ACCOUNT, name) for name in ("ada", "bob")]
    assert set(await users.users(principal(), ACCOUNT)) == {ada, bob}
    assert await users.users(principal(owner_id=bob.id), ACCOUNT) == [bob]
    assert await users.users(principal(), CHILD) == []
    with pytest.raises(NotFound):
        await users.users(principal(CHILD), ACCOUNT)
    with pytest.raises(Forbidden):
        await users.users(principal(ACCOUNT, Scope.DELETE), ACCOUNT)


async def test_a_list_by_name_is_limited(
    installation: Installation, users: ManageUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.use_cases.users.MAX_LIST", 2)
    for name in ("ada", "bob"):
        await users.create(ACCOUNT, name)
    await installation.store.add_account(Account(new_id(), "second", 1, (ACCOUNT,)))
    assert len(await users.users(principal(), ACCOUNT)) == 2
    assert len(await users.accounts_below(principal(), ACCOUNT)) == 2
    await users.create(ACCOUNT, "eve")
    await installation.store.add_account(Account(new_id(), "third", 1, (ACCOUNT, CHILD)))
    assert len(await users.accounts_below(principal(), ACCOUNT, direct=True)) == 2
    with pytest.raises(InvalidState, match=r"more than 2 accounts: list them with `Account\.children`"):
        await users.accounts_below(principal(), ACCOUNT)
    with pytest.raises(InvalidState, match="more than 2 users: list them with recordings user list"):
        await users.users(principal(), ACCOUNT)


async def test_a_user_is_known_if_it_was_created_or_owns_a_recording(
    installation: Installation, users: ManageUsers
) -> None:
    ada = await users.create(ACCOUNT, "ada")
    assert await users.is_known(principal(), ACCOUNT, ada.id)
    assert not await users.is_known(principal(), ACCOUNT, "owner")
    assert await users.is_known(principal(owner_id="owner"), ACCOUNT, "owner")
    for nothing in ("", "x" * 129, "\ud800", "a\0b"):
        assert not await users.is_known(principal(), ACCOUNT, nothing)


async def test_an_owner_knows_only_itself(installation: Installation, users: ManageUsers) -> None:
    ada = await users.create(ACCOUNT, "ada")
    installation.recorder.ring(ACCOUNT, "call", owner_id="bob")
    await installation.service.start(principal(), StartRequest(call_id="call"))
    for other in (ada.id, "bob", "nobody"):
        assert not await users.is_known(principal(owner_id="owner"), ACCOUNT, other)


async def test_a_user_stays_known_after_its_last_recording_is_deleted(
    installation: Installation, users: ManageUsers
) -> None:

    installation.recorder.ring(ACCOUNT, "call", owner_id="owner")
    recording = await installation.service.start(principal(), StartRequest(call_id="call"))
    assert await users.is_known(principal(), ACCOUNT, "owner")
    await installation.service.stop(principal(), recording.id)
    stopped = await installation.store.load(recording.id)
    assert stopped is not None
    assert stopped.state is State.FINALIZING

    now = installation.clock.now()
    failed = await RecordingWriter(installation.store).save_event(
        stopped, Failed(at=now, reason=Reason.RECORDER_FAILED)
    )
    trashed = await RecordingWriter(installation.store).save_event(failed, Trashed(at=now, by="x", purge_at=now))
    assert await users.is_known(principal(), ACCOUNT, "owner")
    await RecordingWriter(installation.store).save_event(trashed, Purged(at=now))
    assert await users.is_known(principal(), ACCOUNT, "owner")


def test_a_guess_is_expensive() -> None:
    # In a process of its own, because the tests hash cheaply (`tests/conftest.py`).
    code = f"from recordings.model.user import *; print(hash_credential({ACCOUNT!r}, Method.MD5, 'f' * 32))"
    hashed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    salt = f"v2 user:{ACCOUNT}:md5".encode()
    assert hashed == hashlib.scrypt(b"f" * 32, salt=salt, n=2**14, r=8, p=1, dklen=32).hex()


async def test_accounts_are_found_by_name_realm_or_number(installation: Installation, users: ManageUsers) -> None:
    assert [account.id for account in await users.find_accounts(name=" Par-ENT ")] == [ACCOUNT]
    assert [account.id for account in await users.find_accounts(realm=f"{'A' * 12}.sip.invalid")] == [ACCOUNT]
    account = await installation.store.account(ACCOUNT)
    assert account is not None
    await installation.store.save_account(replace(account, numbers=("+4930123", "030123")))
    for number in ("+4930123", "+49 (30) 1-23", "030123"):
        assert [account.id for account in await users.find_accounts(number=number)] == [ACCOUNT]
    for number in ("123", "+", ""):
        assert await users.find_accounts(number=number) == []
    # If one criterion finds no account, the next one is used.
    assert [account.id for account in await users.find_accounts(number="1", realm="x", name="parent")] == [ACCOUNT]
    assert await users.find_accounts(name="!") == []
    assert await users.find_accounts() == []


@pytest.mark.parametrize("step", ["save_user", "save_passwords"])
async def test_no_token_outlives_a_change_of_role_or_password_that_is_cut_off(
    installation: Installation, users: ManageUsers, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    user = await users.create(ACCOUNT, "Ada", "Sesame", priv_level=PrivLevel.ADMIN)
    installation.clock.move(5)
    save = getattr(installation.store, step)

    async def save_and_die(*values: object) -> None:
        assert await save(*values)
        raise ConnectionError

    monkeypatch.setattr(installation.store, step, save_and_die)
    change: Awaitable[object]
    if step == "save_user":
        change = users.update(user, {UserField.PRIV_LEVEL: PrivLevel.USER})
    else:
        change = users.set_password(user, "a new password")
    with pytest.raises(ConnectionError):
        await change
    state = await installation.store.access_state(ACCOUNT, [user.id], None)
    assert state.not_before == installation.clock.now()
