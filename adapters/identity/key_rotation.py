"""Changes of the key file: a new key, and an old key that is dropped."""

from collections.abc import Callable
from pathlib import Path
from secrets import token_bytes
from typing import TypeVar

from adapters.identity.installation_key import MAX_KEYS, SecretFileError, format_keys, id_of, parse_keys
from adapters.identity.private_file import locked_for_change, replace_file

Result = TypeVar("Result")


def add_key(path: Path, signing_id: str) -> str:
    """Add a key to a key file, and return its id. If a key follows the signing key, return the id of the last key.

    So an interrupted rotation continues with the same key.

    Raises:
        SecretFileError: the file cannot be changed, or it has too many keys.
    """

    def change(keys: dict[str, bytes]) -> str:
        newest = next(reversed(keys))
        if newest != signing_id:
            return newest
        if len(keys) >= MAX_KEYS:
            message = f"{path} holds {MAX_KEYS} keys: drop the oldest one with `recordings key drop-installation ID`"
            raise SecretFileError(message)
        root = token_bytes(32)
        keys[id_of(root)] = root
        return id_of(root)

    return _change(path, change)


def drop_key(path: Path, key_id: str) -> bool:
    """Remove a key from a key file. Return false if the file lacks it. Raises `SecretFileError`."""
    return _change(path, lambda keys: keys.pop(key_id, None) is not None)


def _change(path: Path, change: Callable[[dict[str, bytes]], Result]) -> Result:
    # The file may be a link into another folder, which must stay.
    path = path.resolve()
    try:
        with locked_for_change(path):
            text = path.read_text(encoding="ascii", errors="replace")
            keys = parse_keys(path, text)
            before = dict(keys)
            result = change(keys)
            if keys != before:
                replace_file(path, format_keys(keys))
            return result
    except OSError as error:
        raise SecretFileError(f"{path} cannot be changed: {error.strerror}") from error
