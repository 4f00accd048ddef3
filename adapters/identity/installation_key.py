"""The installation's secret key. It is created once, kept in a private file, and never used directly.

Each purpose has its own key, derived from the secret key. A signature for one purpose is therefore not valid for
another.
"""

import os
import re
import secrets
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, Self

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_PRIVATE: Final = 0o600
_OTHERS: Final = 0o007


class SecretFileError(Exception):
    """The key file cannot be used. The message says what to change, and never contains the key."""


class InstallationKey:
    """32 secret bytes, and the keys derived from them."""

    def __init__(self, root: bytes) -> None:
        self._root = root

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the key from a file, or create the file. Concurrent processes get the same key.

        Raises:
            SecretFileError: the file cannot be read or created, holds no key, or every user of the machine can read
                it.
        """
        try:
            text = read_or_create(path, secrets.token_hex(32))
            mode = path.stat().st_mode
        except OSError as error:
            raise SecretFileError(f"{path} cannot be used as the key file: {error.strerror}") from error
        if mode & _OTHERS:
            message = f"every user of this machine can read {path}: chmod 600 it, or delete it and lose all tokens"
            raise SecretFileError(message)
        if not _HEX.fullmatch(text):
            raise SecretFileError(f"{path} must hold 64 lower-case hexadecimal digits and nothing else")
        return cls(bytes.fromhex(text))

    def derive(self, purpose: str) -> bytes:
        """Return the 32-byte key of a purpose. A purpose has at most 16 ASCII characters."""
        return blake2b(key=self._root, person=purpose.encode(), digest_size=32).digest()


def read_or_create(path: Path, text: str) -> str:
    """Return the text of a private file. Create it with `text` if it does not exist; the first writer wins."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write(draft, text)
            # A link to a complete file: readers never see a part of it, and a second link fails.
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    return path.read_text(encoding="ascii", errors="replace").strip()


def _write(path: Path, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        os.write(file, f"{text}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
