"""The installation's key: created once, private, and never used directly."""

import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from adapters.identity import InstallationKey, SecretFileError, read_or_create


def derived(path: Path) -> bytes:
    return InstallationKey.open(path).derive("jwt").signing.secret


def test_the_key_file_is_private_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.key"
    first = derived(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert derived(path) == first
    assert len(path.read_text().strip()) == 64
    assert list(path.parent.iterdir()) == [path]


def test_each_installation_has_its_own_key(tmp_path: Path) -> None:
    assert derived(tmp_path / "a") != derived(tmp_path / "b")


def test_each_purpose_has_its_own_derived_key(tmp_path: Path) -> None:
    key = InstallationKey.open(tmp_path / "key")
    derived = {key.derive(purpose).signing.secret for purpose in ("jwt", "cursor", "media")}
    assert len(derived) == 3
    assert bytes.fromhex((tmp_path / "key").read_text().strip()) not in derived


def test_concurrent_threads_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(derived, [tmp_path / "key"] * 64))) == 1


def test_concurrent_processes_get_the_same_key(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(derived, [tmp_path / "key"] * 8, chunksize=1))) == 1


@pytest.mark.parametrize("content", ["", "short", "g" * 64, "A" * 64, "ab" * 33])
def test_an_invalid_key_file_is_rejected(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SecretFileError, match="64 lower-case hexadecimal"):
        InstallationKey.open(path)


def test_a_key_file_that_every_user_can_read_is_rejected_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("ab" * 32)
    path.chmod(0o644)
    with pytest.raises(SecretFileError, match="chmod 600") as refused:
        InstallationKey.open(path)
    assert "abab" not in str(refused.value)


def test_the_key_is_not_in_its_representation(tmp_path: Path) -> None:
    key = InstallationKey.open(tmp_path / "key")
    assert (tmp_path / "key").read_text().strip() not in repr(key)


def test_the_first_writer_wins(tmp_path: Path) -> None:
    assert read_or_create(tmp_path / "node", "one") == "one"
    assert read_or_create(tmp_path / "node", "two") == "one"
