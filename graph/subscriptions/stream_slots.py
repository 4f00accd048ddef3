"""How many connections with streams may be open: for each credential, for each account, and on one server."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from recordings.model.account import Principal

PER_CREDENTIAL: Final = 10
PER_ACCOUNT: Final = 2_000
PER_SERVER: Final = 4_000
_SERVER: Final = "server"
_WHOSE: Final = ("these credentials", "this account", "the server")


class TooManyStreamsError(Exception):
    """No further connection may be opened. The message says why."""


class StreamSlots:
    """Counts the open connections of one server."""

    def __init__(
        self, per_credential: int = PER_CREDENTIAL, per_account: int = PER_ACCOUNT, per_server: int = PER_SERVER
    ) -> None:
        self._limits = (per_credential, per_account, per_server)
        self._open: Counter[Hashable] = Counter()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return self._open[_SERVER]

    @contextmanager
    def take(self, principal: Principal) -> Iterator[None]:
        """Count a connection until the end of the block.

        Raises:
            TooManyStreamsError: a limit is reached.
        """
        keys: tuple[Hashable, ...] = (
            (principal, principal.token_id, principal.key_id),
            principal.account_id,
            _SERVER,
        )
        for key, limit, whose in zip(keys, self._limits, _WHOSE, strict=True):
            if self._open[key] >= limit:
                message = f"too many connections: {whose} may have {limit} sockets and streams on one server"
                raise TooManyStreamsError(message)
        self._open.update(keys)
        try:
            yield
        finally:
            for key in keys:
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]
