"""The installation's secret keys, in one private file. They are never used directly.

Each purpose has its own keys, derived from the secret keys. A signature for one purpose is therefore not valid for
another.

The file has one line for each key, the newest last: the key's id and the key, both in hexadecimal digits. The id is
derived from the key, so it reveals nothing, and a damaged line is found. A file with one key may lack the id.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Final, Self

from adapters.identity.private_file import read_or_create
from recordings.rules.signing_keys import SigningKey, SigningKeys

MAX_KEYS: Final = 8
_LINE: Final = re.compile(r"(?:([0-9a-f]{16}) )?([0-9a-f]{64})")
_OTHERS: Final = 0o007


class SecretFileError(Exception):
    """The key file cannot be used. The message says what to change, and never contains a key."""


class InstallationKey:
    """The keys of a key file, and the keys derived from them. The newest signs, unless `sign_with` chose another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._roots: dict[str, bytes] = {}
        self._signing = ""
        self._derived: dict[str, SigningKeys] = {}
        self._version: tuple[int, ...] = ()

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Self:
        """Read the keys from a file. With `create`, create a missing file. Concurrent processes get the same key.

        Raises:
            SecretFileError: the file cannot be read or created, holds no keys, or every user of the machine can read
                it.
        """
        key = cls(path)
        if create:
            try:
                read_or_create(path, token_hex(32))
            except OSError as error:
                raise _unusable(path, error) from error
        key.reload()
        return key

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, the newest last."""
        return tuple(self._roots)

    @property
    def signing_id(self) -> str:
        """The id of the key that signs."""
        return self._signing

    def sign_with(self, key_id: str) -> bool:
        """Sign with the key that has this id. Return false, and change nothing, if the file lacks it."""
        if key_id not in self._roots:
            return False
        if key_id != self._signing:
            self._signing = key_id
            self._replace_derived()
        return True

    def reload(self) -> bool:
        """Read the file again if it changed. Return true if the keys changed. An unusable file changes nothing.

        Raises:
            SecretFileError: as in `open`.
        """
        try:
            status = self.path.stat()
            version = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
            if version == self._version:
                return False
            text = self.path.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise _unusable(self.path, error) from error
        if status.st_mode & _OTHERS:
            message = (
                f"every user of this machine can read {self.path}: chmod 600 it, and replace the key with "
                "`recordings key rotate-installation`"
            )
            raise SecretFileError(message)
        roots = parse_keys(self.path, text)
        self._version = version
        if roots == self._roots:
            return False
        self._roots = roots
        if self._signing not in roots:
            self._signing = next(reversed(roots))
        self._replace_derived()
        return True

    def derive(self, purpose: str) -> SigningKeys:
        """Return the 32-byte keys of a purpose, which has at most 16 ASCII characters. They follow each change."""
        if purpose not in self._derived:
            self._derived[purpose] = SigningKeys(self._keys(purpose))
        return self._derived[purpose]

    def _replace_derived(self) -> None:
        for purpose, keys in self._derived.items():
            keys.replace(self._keys(purpose))

    def _keys(self, purpose: str) -> Sequence[SigningKey]:
        others = [key_id for key_id in reversed(self._roots) if key_id != self._signing]
        return [SigningKey(key_id, _derive(self._roots[key_id], purpose)) for key_id in (self._signing, *others)]


def parse_keys(path: Path, text: str) -> dict[str, bytes]:
    """Return the keys in the text of a key file, by id, the newest last.

    Raises:
        SecretFileError: the text has no keys, a line is damaged, or there are too many.
    """
    roots: dict[str, bytes] = {}
    for number, line in enumerate(text.strip().splitlines() or [""], 1):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            message = (
                f"{path} must hold one key on each line: 64 lower-case hexadecimal digits, after the key's id of 16 "
                f"digits and a space; line {number} is different"
            )
            raise SecretFileError(message)
        root = bytes.fromhex(match[2])
        key_id = id_of(root)
        if match[1] not in {None, key_id}:
            raise SecretFileError(f"line {number} of {path} is damaged: its id is not that of its key")
        roots[key_id] = root
    if len(roots) > MAX_KEYS:
        raise SecretFileError(f"{path} holds {len(roots)} keys: drop the oldest ones, at most {MAX_KEYS} are allowed")
    return roots


def format_keys(roots: dict[str, bytes]) -> str:
    """Return the text of a key file."""
    return "".join(f"{key_id} {root.hex()}\n" for key_id, root in roots.items())


def id_of(root: bytes) -> str:
    """Return the id of a key."""
    return _derive(root, "key id")[:8].hex()


def _derive(root: bytes, purpose: str) -> bytes:
    return blake2b(key=root, person=purpose.encode(), digest_size=32).digest()


def _unusable(path: Path, error: OSError) -> SecretFileError:
    return SecretFileError(f"{path} cannot be used as the key file: {error.strerror}")
