"""Users of an account, and what is kept of their passwords.

Legacy clients never send a password: they send the MD5 or SHA-1 of `user:password` (contract section 4.3), so that
digest is the secret. Kept is scrypt of it, and only that: whoever reads the store can neither log in with what is there
nor look a password up in a table. The salt is the account's id; the user's name is in the digest itself, so two users
never share a hash, and one computation tells which of an account's users a credential belongs to.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from typing import Final

from recordings.model.instants import Millis

# 16 MiB and some 40 ms for each guess.
_COST: Final = 2**14
_BLOCK: Final = 8
_BYTES: Final = 32


class Method(StrEnum):
    """How a client digests `user:password`. The values are the wire's."""

    MD5 = "md5"
    SHA = "sha"


class PrivLevel(StrEnum):
    """What a user is in the account. An administrator is not held to recordings of their own."""

    ADMIN = "admin"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Passwords:
    """What is kept of a password: the hash of each digest that a client may send."""

    md5: str
    sha: str

    def of(self, method: Method) -> str:
        """The hash of a method's digest."""
        return self.md5 if method is Method.MD5 else self.sha


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of an account. Recordings name it in `owner_id`. Without `passwords` it cannot log in."""

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
    """What to keep of a password. Takes a tenth of a second on purpose."""
    text = f"{username.lower()}:{password}".encode("utf-8", "surrogatepass")
    # These digests are the protocol's, not a protection: what protects is the scrypt around them.
    md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
    sha = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    return Passwords(
        hash_credential(account_id, Method.MD5, md5),
        hash_credential(account_id, Method.SHA, sha),
    )


def hash_credential(account_id: str, method: Method, credential: str) -> str:
    """The hash of a digest that a client sent (hexadecimal, in either case)."""
    salt = f"v2 user:{account_id}:{method.value}".encode()
    secret = credential.lower().encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=_COST, r=_BLOCK, p=1, dklen=_BYTES).hex()


def owner_of(users: Iterable[User], method: Method, hashed: str) -> User | None:
    """The user whose credential has this hash. Every user is compared, whichever it is."""
    found = None
    for user in users:
        if user.passwords is not None and compare_digest(user.passwords.of(method), hashed):
            found = user
    return found
