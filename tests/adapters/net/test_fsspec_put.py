"""Upload to stores that create folders one after the other."""

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from adapters.net.fsspec_put import put_and_rename


class RacingStore(LocalFileSystem):  # type: ignore[misc]  # it has no types
    """A store on which another client creates each folder a moment earlier."""

    cachable = False

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        missing = [folder for folder in (Path(path), *Path(path).parents) if not folder.is_dir()]
        if missing:
            missing[-1].mkdir()
            message = "Failure"
            raise OSError(message)


class ReadOnlyStore(LocalFileSystem):  # type: ignore[misc]  # it has no types
    """A store that creates no folders."""

    cachable = False

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        message = "Permission denied"
        raise PermissionError(message)


def put(store: Any, folder: Path) -> Path:
    (folder / "source").write_bytes(b"audio")
    target = folder / "a" / "b" / "c" / "take.mp3"
    put_and_rename(store, folder / "source", str(target))
    return target


def test_folders_that_another_client_creates_at_once_are_accepted(tmp_path: Path) -> None:
    target = put(RacingStore(), tmp_path)
    assert target.read_bytes() == b"audio"
    assert list(target.parent.iterdir()) == [target]


def test_folders_that_cannot_be_created_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        put(ReadOnlyStore(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
