"""Users of an account, and the hashes of their passwords.

Old clients never send a password. They send the MD5 or SHA-1 of `user:password` (docs/v2_contract.md, section 4.3), so
that digest is the secret. The store has only its scrypt hash: a reader of the store cannot log in with it, or find the
password in a table. The salt is the account's id. The digest contains the user's name, so two users never have the same
hash, and one scrypt computation is enough to find the user of a credential among all users of an account.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recordings.model.instants import Millis

# Each guess costs 16 MiB of memory and about 40 ms.
_COST: Final = 2**14
_BLOCK: Final = 8
_BYTES: Final = 32


class Method(StrEnum):
    """The digest that a client makes of `user:password`. Clients send these values."""

    MD5 = "md5"
    SHA = "sha"


class PrivLevel(StrEnum):
    """The role of a user in the account. An administrator may access the recordings of all owners."""

    ADMIN = "admin"
    USER = "user"


class UserField(StrEnum):
    """A field of a user that can be changed. The name for signing in is a part of the password's hashes."""

    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    EMAIL = "email"
    PRIV_LEVEL = "priv_level"


@dataclass(frozen=True, slots=True)
class Passwords:
    """The stored hashes of a password: one for each digest that a client may send."""

    md5: str
    sha: str

    def of(self, method: Method) -> str:
        """Return the hash for a method."""
        return self.md5 if method is Method.MD5 else self.sha


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of an account. The `owner_id` of a recording is a user's id. A user without `passwords` cannot log in."""

    id: str
    account_id: str
    username: str
    created: Millis
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    priv_level: PrivLevel = PrivLevel.USER
    passwords: Passwords | None = None


def hash_password(account_id: str, username: str, password: str) -> Passwords:
    """Return the hashes of a password. This is slow on purpose: it takes about 0.1 s."""
    text = f"{username.lower()}:{password}".encode("utf-8", "surrogatepass")
    # The protocol needs these weak digests. The scrypt hash around them protects the password.
    md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
    sha = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    return Passwords(
        hash_credential(account_id, Method.MD5, md5),
        hash_credential(account_id, Method.SHA, sha),
    )


def hash_credential(account_id: str, method: Method, credential: str) -> str:
    """Return the hash of a digest that a client sent, in upper-case or lower-case hex digits."""
    salt = f"v2 user:{account_id}:{method.value}".encode()
    secret = credential.lower().encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=_COST, r=_BLOCK, p=1, dklen=_BYTES).hex()
