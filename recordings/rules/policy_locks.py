"""The locks of an account: `FORCE` and `NEVER`, for a direction, a network, numbers, with exceptions."""

import re
from collections.abc import Sequence
from typing import Final

from recordings.model.errors import InvalidInput
from recordings.model.recording_policy import Lock, LockKind, PolicyCall

MAX_LOCKS: Final = 20
MAX_NUMBERS: Final = 100
_MAX_NUMBER: Final = 64
_SEPARATORS: Final = re.compile(r"[^\w#*]")


def find_lock(locks: Sequence[Lock], kind: LockKind, call: PolicyCall) -> Lock | None:
    """Return the first lock of a kind that applies to a call.

    A call of an unknown network has a lock NEVER for any network, because audio must not be stored against a lock. A
    lock FORCE for one network does not apply to it.
    """
    for lock in locks:
        if lock.kind is kind and _applies(lock, call):
            return lock
    return None


def _applies(lock: Lock, call: PolicyCall) -> bool:
    if lock.direction not in {None, call.direction}:
        return False
    may_be = call.network is None and lock.kind is LockKind.NEVER
    if lock.network not in {None, call.network} and not may_be:
        return False
    if lock.numbers and not _matches(lock.numbers, call.numbers):
        return False
    return not (lock.exceptions and _matches(lock.exceptions, call.numbers))


def _matches(patterns: Sequence[str], numbers: Sequence[str]) -> bool:
    plain = [plain_party(number) for number in numbers]
    for pattern in patterns:
        wanted = plain_party(pattern.removesuffix("*"))
        if any(number.startswith(wanted) if pattern.endswith("*") else number == wanted for number in plain):
            return True
    return False


def plain_party(number: str) -> str:
    """Return a number in the form that is compared: without its realm, a leading plus, spaces and separators."""
    user = number.partition("@")[0].removeprefix("sip:").lower()
    return _SEPARATORS.sub("", user)


def describe_lock(lock: Lock) -> str:
    """Return the calls that a lock is for, as text."""
    cell = f"{lock.direction or 'any'}.{lock.network or 'any'}"
    return f"{cell} and certain numbers" if lock.numbers else cell


def check_locks(locks: Sequence[Lock]) -> None:
    """Raise `InvalidInput` if there are too many locks or numbers, or if a number has nothing to compare."""
    if len(locks) > MAX_LOCKS:
        raise InvalidInput.of(("locks",), "maxItems", len(locks), f"at most {MAX_LOCKS} locks")
    for place, lock in enumerate(locks):
        for name, numbers in (("numbers", lock.numbers), ("exceptions", lock.exceptions)):
            path = ("locks", str(place), name)
            if len(numbers) > MAX_NUMBERS:
                raise InvalidInput.of(path, "maxItems", len(numbers), f"at most {MAX_NUMBERS} numbers")
            for number in numbers:
                if len(number) > _MAX_NUMBER or not plain_party(number.removesuffix("*")):
                    allowed = f"a number of 1 to {_MAX_NUMBER} characters, or a prefix that ends in *"
                    raise InvalidInput.of(path, "pattern", number, allowed)
