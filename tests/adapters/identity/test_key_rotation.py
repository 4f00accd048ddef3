"""Several keys in the key file: the chosen one signs, signatures of all are valid, and changes need no restart."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.identity import InstallationKey, SecretFileError, Tokens
from adapters.identity.key_rotation import add_key, drop_key
from adapters.peers import CommandSigner
from adapters.peers.signed_commands import Command, InvalidCommandError, Verb
from graph.server.system_clock import SystemClock
from recordings.model.account import Principal, Scope
from recordings.model.errors import InvalidCursor, Unauthenticated
from recordings.model.query import Order, Position
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants, requester_of
from recordings.rules.signing_keys import SigningKey, SigningKeys

PRINCIPAL = Principal("ab" * 16, frozenset({Scope.READ}), name="test")
CLOCK = SystemClock()
LATER = CLOCK.now() + 3_600_000


def rotate(key: InstallationKey) -> str:
    new = add_key(key.path, key.signing_id)
    assert key.reload()
    assert key.sign_with(new)
    return new


def test_a_file_of_today_is_read_and_extended(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text("ab" * 32 + "\n")
    path.chmod(0o600)
    key = InstallationKey.open(path)
    old, signed = key.signing_id, key.derive("jwt").signing
    new = rotate(key)
    assert (key.ids, key.signing_id) == ((old, new), new)
    assert [line.split(" ")[0] for line in path.read_text().splitlines()] == [old, new]
    assert key.derive("jwt").accepted == (key.derive("jwt").signing, signed)
    assert InstallationKey.open(path).ids == key.ids


def test_a_new_key_does_not_sign_before_it_is_chosen(tmp_path: Path) -> None:
    key = InstallationKey.open(tmp_path / "key")
    assert key.sign_with(key.ids[0])
    before = key.derive("jwt").signing
    add_key(key.path, key.signing_id)
    assert key.reload()
    assert key.derive("jwt").signing == before
    assert len(key.derive("jwt").accepted) == 2
    assert not key.sign_with("0" * 16)
    assert not key.reload()


def test_an_interrupted_rotation_continues_with_the_same_key(tmp_path: Path) -> None:
    key = InstallationKey.open(tmp_path / "key")
    first = add_key(key.path, key.signing_id)
    # What a killed process leaves.
    left = tmp_path / ".key.0123456789abcdef"
    left.write_text("a part")
    assert add_key(key.path, key.signing_id) == first
    assert not left.exists()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: add_key(key.path, key.signing_id), range(16))) == {first}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = InstallationKey.open(tmp_path / "key")
    before = key.path.read_bytes()
    for step in ("write", "fsync"):
        with monkeypatch.context() as patched:
            patched.setattr(os, step, _fail)
            with pytest.raises(SecretFileError, match="No space left"):
                add_key(key.path, key.signing_id)
        assert key.path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [key.path]


def _fail(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_rotation_keeps_the_mode_and_the_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real", tmp_path / "key"
    key = InstallationKey.open(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.chmod(0o640)
    link.symlink_to(target)
    add_key(link, key.signing_id)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert len(InstallationKey.open(link).ids) == 2


def test_the_number_of_keys_is_limited_and_old_ones_are_dropped(tmp_path: Path) -> None:
    key = InstallationKey.open(tmp_path / "key")
    first = key.signing_id
    for _ in range(7):
        rotate(key)
    with pytest.raises(SecretFileError, match="drop the oldest"):
        add_key(key.path, key.signing_id)
    assert drop_key(key.path, first)
    assert not drop_key(key.path, first)
    assert key.reload()
    assert first not in key.ids
    rotate(key)


@pytest.mark.parametrize("damage", ["", "no key", "x" * 64, " ".join(["ab" * 32] * 2)])
def test_a_damaged_file_changes_nothing_in_a_running_server(tmp_path: Path, damage: str) -> None:
    key = InstallationKey.open(tmp_path / "key")
    rotate(key)
    before = key.ids, key.derive("jwt").accepted
    lines = key.path.read_text().splitlines()
    key.path.write_text("\n".join([lines[0], damage or lines[1].replace(lines[1][:16], "0" * 16)]))
    with pytest.raises(SecretFileError, match="line 2") as refused:
        key.reload()
    assert lines[1].split(" ")[1] not in str(refused.value)
    assert (key.ids, key.derive("jwt").accepted) == before
    key.path.write_text("\n".join(lines))
    assert not key.reload()


def token_check(keys: SigningKeys) -> tuple[Callable[[], str], Callable[[str], bool]]:
    tokens = Tokens(keys, CLOCK)

    def is_valid(token: str) -> bool:
        try:
            # A verified token is cached, which must not outlive its key.
            return tokens.cached(token) is not None or tokens.verify(token) is not None
        except Unauthenticated:
            return False

    return lambda: tokens.issue(PRINCIPAL), is_valid


def grant_check(keys: SigningKeys) -> tuple[Callable[[], str], Callable[[str], bool]]:
    grants, requester = Grants(keys), requester_of(PRINCIPAL, CLOCK.now())

    def is_valid(signature: str) -> bool:
        try:
            grants.check("one", LATER, requester, signature)
        except Unauthenticated:
            return False
        return True

    return lambda: grants.sign("one", LATER, requester), is_valid


def cursor_check(keys: SigningKeys) -> tuple[Callable[[], str], Callable[[str], bool]]:
    cursors, order = Cursors(keys), Order()

    def is_valid(cursor: str) -> bool:
        try:
            cursors.read(order, cursor, ("after",))
        except InvalidCursor:
            return False
        return True

    return lambda: cursors.encode(order, Position(1, "one")), is_valid


def command_check(keys: SigningKeys) -> tuple[Callable[[], str], Callable[[str], bool]]:
    def is_valid(command: str) -> bool:
        try:
            # A server accepts each command once.
            CommandSigner(keys, "node", CLOCK).verify(command)
        except InvalidCommandError:
            return False
        return True

    return lambda: CommandSigner(keys, "other", CLOCK).sign(Command(Verb.STOP, "one"), "node"), is_valid


@pytest.mark.parametrize("check", [token_check, grant_check, cursor_check, command_check])
@given(steps=st.lists(st.sampled_from(["sign", "rotate", "drop oldest"]), min_size=1, max_size=12))
def test_a_signature_is_valid_until_its_key_is_dropped(
    check: Callable[[SigningKeys], tuple[Callable[[], str], Callable[[str], bool]]], steps: list[str]
) -> None:
    number, existing = 0, [SigningKey("0", bytes(32))]
    keys = SigningKeys(existing)
    sign, is_valid = check(keys)
    signed: list[tuple[str, str]] = []
    for step in steps:
        if step == "sign":
            signed.append((existing[0].id, sign()))
        elif step == "rotate":
            number += 1
            existing = [SigningKey(str(number), bytes([number]) * 32), *existing]
        elif len(existing) > 1:
            existing = existing[:-1]
        keys.replace(existing)
        for key_id, signature in signed:
            assert is_valid(signature) == (key_id in {key.id for key in existing})


def test_a_token_without_a_key_id_is_checked_with_every_key() -> None:
    old, new = SigningKey("old", b"o" * 32), SigningKey("new", b"n" * 32)
    of_an_earlier_release = Tokens(old.secret, CLOCK).issue(PRINCIPAL)
    assert Tokens(SigningKeys([new, old]), CLOCK).verify(of_an_earlier_release).principal == PRINCIPAL
    with pytest.raises(Unauthenticated):
        Tokens(SigningKeys([new]), CLOCK).verify(of_an_earlier_release)


def test_no_secret_is_in_the_representation_of_a_key() -> None:
    assert "1234" not in repr(SigningKey("id", b"1234"))
