"""The calls that may connect by AudioSocket soon. The protocol has no authentication: its UUID is the only secret."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from adapters.recorders.embedded.stream_session import IsAllowed

LIFETIME: Final = 60
"""Seconds in which a call must connect."""
MAX_PENDING: Final = 10_000
"""Maximum number of calls that are expected at once."""

MAX_PENDING_OF_ACCOUNT: Final = 1_000
"""How many of them one account may have."""


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that may connect, with the parameters that describe it."""

    account_id: str
    parameters: Mapping[str, str]
    is_allowed: IsAllowed
    expires: float


class AudioSocketCalls:
    """The expected calls of this server. Each UUID works once."""

    def __init__(self) -> None:
        self._expected: dict[UUID, ExpectedCall] = {}

    def expect(self, account_id: str, parameters: Mapping[str, str], is_allowed: IsAllowed) -> UUID | None:
        """Return a new UUID for a call; `None` if too many calls are expected already."""
        now = asyncio.get_running_loop().time()
        # The oldest ones come first, because all have the same lifetime.
        while self._expected and (oldest := next(iter(self._expected.items())))[1].expires <= now:
            del self._expected[oldest[0]]
        of_account = sum(each.account_id == account_id for each in self._expected.values())
        if len(self._expected) >= MAX_PENDING or of_account >= MAX_PENDING_OF_ACCOUNT:
            return None
        uuid = uuid4()
        self._expected[uuid] = ExpectedCall(account_id, parameters, is_allowed, now + LIFETIME)
        return uuid

    def take(self, uuid: UUID) -> ExpectedCall | None:
        """Return the call with a UUID, for the first request in time; otherwise `None`."""
        call = self._expected.pop(uuid, None)
        return call if call is not None and call.expires > asyncio.get_running_loop().time() else None
