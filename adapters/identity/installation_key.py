"""The installation's secret key: made once, kept in a private file, and never used as it is.

Everything that has to be signed or recognised has a key of its own, derived from it for that purpose, so that what is
signed for one purpose means nothing for another.
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
    """The key file cannot be used; the message says what to change, and never what is in it."""


class InstallationKey:
    """32 secret bytes, and the keys derived from them."""

    def __init__(self, root: bytes) -> None:
        self._root = root

    @classmethod
    def open(cls, path: Path) -> Self:
        """The key in a file; made if there is none. Processes that do so at the same time get the same one.

        Raises:
            SecretFileError: what is there is no key, cannot be read or made, or everybody on the machine may read it.
        """
        try:
            text = made_once(path, secrets.token_hex(32))
            mode = path.stat().st_mode
        except OSError as error:
            message = f"{path} cannot be used as the key file: {error.strerror}"
            raise SecretFileError(message) from error
        if mode & _OTHERS:
            message = f"{path} can be read by everybody on this machine: chmod 600 it, or delete it and lose all tokens"
            raise SecretFileError(message)
        if not _HEX.fullmatch(text):
            message = f"{path} must hold 64 lower-case hexadecimal digits and nothing else"
            raise SecretFileError(message)
        return cls(bytes.fromhex(text))

    def derive(self, purpose: str) -> bytes:
        """The 32-byte key of a purpose (at most 16 ASCII characters)."""
        return blake2b(key=self._root, person=purpose.encode(), digest_size=32).digest()


def made_once(path: Path, text: str) -> str:
    """What a private file holds; it is written with `text` if it is not there. The first writer wins, for all."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write(draft, text)
            # A link to a whole file: no reader sees a part of it, and a second one is refused.
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
