"""The installation's key: made once, private, and never used as it is."""

import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from adapters.identity import InstallationKey, SecretFileError, made_once


def derived(path: Path) -> bytes:
    return InstallationKey.open(path).derive("jwt")


def test_it_is_made_private_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.key"
    first = derived(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert derived(path) == first
    assert len(path.read_text().strip()) == 64
    assert list(path.parent.iterdir()) == [path]


def test_another_installation_has_another_one(tmp_path: Path) -> None:
    assert derived(tmp_path / "a") != derived(tmp_path / "b")


def test_purposes_have_keys_of_their_own_and_none_is_the_root(tmp_path: Path) -> None:
    key = InstallationKey.open(tmp_path / "key")
    derived = {key.derive(purpose) for purpose in ("jwt", "cursor", "media")}
    assert len(derived) == 3
    assert bytes.fromhex((tmp_path / "key").read_text().strip()) not in derived


def test_threads_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(derived, [tmp_path / "key"] * 64))) == 1


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(derived, [tmp_path / "key"] * 8, chunksize=1))) == 1


@pytest.mark.parametrize("content", ["", "short", "g" * 64, "A" * 64, "ab" * 33])
def test_what_is_no_key_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SecretFileError, match="64 lower-case hexadecimal"):
        InstallationKey.open(path)


def test_a_key_that_everybody_can_read_is_refused_and_not_shown(tmp_path: Path) -> None:
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
    assert made_once(tmp_path / "node", "one") == "one"
    assert made_once(tmp_path / "node", "two") == "one"
