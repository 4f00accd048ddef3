"""Putting files on stores that make folders one after the other."""

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from adapters.net.fsspec_put import put_and_rename


class Busy(LocalFileSystem):  # type: ignore[misc]  # it has no types
    """A store on which somebody else makes the same folders, each a moment before."""

    cachable = False

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        missing = [folder for folder in (Path(path), *Path(path).parents) if not folder.is_dir()]
        if missing:
            missing[-1].mkdir()
            message = "Failure"
            raise OSError(message)


class Closed(LocalFileSystem):  # type: ignore[misc]  # it has no types
    """A store that makes no folders."""

    cachable = False

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        message = "Permission denied"
        raise PermissionError(message)


def put(store: Any, folder: Path) -> Path:
    (folder / "source").write_bytes(b"audio")
    target = folder / "a" / "b" / "c" / "take.mp3"
    put_and_rename(store, folder / "source", str(target))
    return target


def test_folders_that_somebody_else_makes_at_once_are_no_fault(tmp_path: Path) -> None:
    target = put(Busy(), tmp_path)
    assert target.read_bytes() == b"audio"
    assert list(target.parent.iterdir()) == [target]


def test_folders_that_cannot_be_made_are_one(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        put(Closed(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
