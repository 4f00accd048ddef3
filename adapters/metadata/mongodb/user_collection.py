"""Users in MongoDB."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from adapters.metadata.mongodb.driver import Database, Document
from adapters.metadata.mongodb.indexes import USERS
from adapters.metadata.mongodb.unavailable import raises_store_unavailable
from recordings.model.user import Method, Passwords, PrivLevel, User
from recordings.ports.account_stores import PAGE

_OLDEST_FIRST: Final = [("created", ASCENDING), ("id", ASCENDING)]


@raises_store_unavailable
class UserCollection:
    """The collection of users."""

    def __init__(self, database: Database) -> None:
        self._users = database[USERS]

    async def add_user(self, user: User) -> bool:
        """Add a user. Return `False` if the account already has this user id or user name."""
        try:
            await self._users.insert_one(_document(user))
        except DuplicateKeyError:
            return False
        return True

    async def user(self, account_id: str, user_id: str) -> User | None:
        """Return a user of an account by id."""
        found = await self._users.find_one({"account_id": account_id, "id": user_id})
        return _user(found) if found else None

    async def users(self, account_id: str, limit: int = PAGE, after: User | None = None) -> Sequence[User]:
        """Return users of an account, oldest first; with `after`, only the users that follow it."""
        selector: Document = {"account_id": account_id}
        if after is not None:
            # The first term bounds the index scan; `$or` alone would not.
            later = [{"created": {"$gt": after.created}}, {"id": {"$gt": after.id}}]
            selector |= {"created": {"$gte": after.created}, "$or": later}
        found = self._users.find(selector, sort=_OLDEST_FIRST, limit=limit)
        return [_user(document) for document in await found.to_list(None)]

    async def user_by_hash(self, account_id: str, method: Method, hashed: str) -> User | None:
        """Return the user of an account whose password has this hash."""
        found = await self._users.find_one({"account_id": account_id, f"passwords.{method.value}": hashed})
        return _user(found) if found else None


def _document(user: User) -> Document:
    return {**asdict(user), "login": user.username.lower(), "priv_level": user.priv_level.value}


def _user(document: Document) -> User:
    values = {name: value for name, value in document.items() if name not in {"_id", "login"}}
    passwords = values["passwords"]
    return User(
        **values
        | {
            "created": int(values["created"]),
            "priv_level": PrivLevel(values["priv_level"]),
            "passwords": None if passwords is None else Passwords(**passwords),
        }
    )
