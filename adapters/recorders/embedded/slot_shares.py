"""The shares of accounts and client addresses in a limited number of uploads or streams."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from starlette.requests import HTTPConnection

_log: Final[Any] = structlog.get_logger("recorder")
_LOG_SECONDS: Final = 60.0
_FEW: Final = 20
"""Beyond the share of one account, only accounts with less than a twentieth of the slots get another one."""


ClientOf = Callable[[HTTPConnection], str]
"""Returns the address of a client; empty if only its proxy is known."""


def client_of(connection: HTTPConnection) -> str:
    """Return the address of a client that connects without a proxy."""
    return connection.client.host if connection.client is not None else ""


class NoSlot(Exception):  # noqa: N818 - an expected result
    """There is no slot. `is_share` is true if the sender has used its share, and false if the server is full."""

    def __init__(self, message: str, *, is_share: bool) -> None:
        super().__init__(message)
        self.is_share = is_share


class SlotShares:
    """Counts the slots in use.

    One account, and one client address, can use `percent` of the `limit` slots. The rest is for accounts that use few,
    so two large accounts cannot take all.
    """

    def __init__(
        self, what: str, limit: int, percent: int, option: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`what` is the plural of the thing that uses a slot, and `option` the setting of the limit."""
        self._what = what
        self._limit = limit
        self._most = max(1, limit * percent // 100)
        self._few = max(1, limit // _FEW)
        self._option = option
        self._accounts: Counter[str] = Counter()
        self._clients: Counter[str] = Counter()
        self._open = 0
        self._refused: Counter[str] = Counter()
        self._clock = clock
        self._next_log = 0.0

    @property
    def is_full(self) -> bool:
        """Whether all slots are in use."""
        return self._open >= self._limit

    @contextmanager
    def slot(self, account_id: str, client: str) -> Iterator[None]:
        """Use a slot until the block ends. `client` is the address of the client; empty if only its proxy is known.

        Raises:
            NoSlot: there is none for this account or client now.
        """
        if (refusal := self._refusal(account_id, client)) is not None:
            self._log(refusal, account_id, client)
            raise refusal
        self._open += 1
        self._accounts[account_id] += 1
        self._clients[client] += 1
        try:
            yield
        finally:
            self._open -= 1
            self._accounts -= Counter([account_id])
            self._clients -= Counter([client])

    def _refusal(self, account_id: str, client: str) -> NoSlot | None:
        if self.is_full:
            return NoSlot(f"too many {self._what} at once: this server receives up to {self._limit}", is_share=False)
        of_account = self._accounts[account_id]
        is_reserved = self._open >= self._most and of_account >= self._few
        if of_account >= self._most or is_reserved:
            most = f"an account may have {self._most}, and {self._few} while other accounts have {self._most}"
            return self._over_share(f"the account has {of_account} open {self._what}", most)
        if client and self._clients[client] >= self._most:
            most = f"a client address may have {self._most}"
            return self._over_share(f"this client address has {self._clients[client]} open {self._what}", most)
        return None

    def _over_share(self, has: str, most: str) -> NoSlot:
        return NoSlot(f"{has}: {most} ({self._option}, --account-share)", is_share=True)

    def _log(self, refusal: NoSlot, account_id: str, client: str) -> None:
        """Log the refusals of an account, once a minute."""
        self._refused[account_id] += 1
        if self._clock() >= self._next_log:
            self._next_log = self._clock() + _LOG_SECONDS
            refused, self._refused = self._refused, Counter()
            _log.warning(
                f"{self._what} refused",
                reason=str(refusal),
                account_id=account_id,
                client=client,
                refused=refused.total(),
                by_account=dict(refused.most_common(5)),
            )
