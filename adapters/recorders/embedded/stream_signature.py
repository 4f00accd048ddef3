"""The signatures of handshakes: of AudioHook, and of Twilio if the account has an auth token."""

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.websockets import WebSocket

from adapters.recorders.dialects import audiohook_signature, twilio_signature
from adapters.recorders.dialects.detect import SESSION_HEADER
from adapters.recorders.embedded.stream_sockets import handshake_of
from recordings.model.account import Principal
from recordings.ports.clock import Clock
from recordings.ports.sealer import CannotUnsealError
from recordings.use_cases.access_control import TTL

_MAX_CACHED: Final = 4_096
log = logging.getLogger(__name__)

TokensOf = Callable[[str, str], Awaitable[Sequence[str]]]
"""Returns Twilio's auth tokens for the streams to an ingest address. Arguments: its account and its id.

Without tokens, signatures of Twilio are not checked. Raises `CannotUnsealError`.
"""


async def no_tokens(_account_id: str, _address: str) -> Sequence[str]:
    """Return no auth tokens."""
    return ()


class StreamSignatures:
    """Checks the signature of a handshake, after its ingest address.

    Auth tokens are cached for as long as the ingest address itself (`recordings.use_cases.access_control.TTL`).

    Args:
        clock: the time of day.
        twilio_tokens: returns the auth tokens.
        public_url: this server's URL for clients.
        seconds: the clock of the cache.
    """

    def __init__(
        self,
        clock: Clock,
        twilio_tokens: TokensOf = no_tokens,
        public_url: str | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._twilio_tokens = twilio_tokens
        self._public_url = public_url
        self._seconds = seconds
        self._cache: OrderedDict[tuple[str, str], tuple[float, Sequence[str]]] = OrderedDict()

    async def fault(self, websocket: WebSocket, principal: Principal, address: str, secret: str) -> str | None:
        """Return why the signature of a handshake is wrong; `None` if it is right, or if none is needed."""
        found = self._audiohook_fault(websocket, address, secret)
        if found is None:
            found = await self._twilio_fault(websocket, principal.account_id, address, secret)
        if found is not None:
            log.warning("stream refused: %s", found, extra={"account_id": principal.account_id, "ingest": address})
        return found

    async def _tokens(self, account_id: str, address: str) -> Sequence[str]:
        key, now = (account_id, address), self._seconds()
        until, tokens = self._cache.get(key, (now, ()))
        if until <= now:
            tokens = await self._twilio_tokens(account_id, address)
            self._cache[key] = (now + TTL, tokens)
            self._cache.move_to_end(key)
            if len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return tokens

    def _audiohook_fault(self, websocket: WebSocket, address: str, secret: str) -> str | None:
        headers = handshake_of(websocket).headers
        if SESSION_HEADER not in headers or not audiohook_signature.is_signed(headers):
            return None
        return audiohook_signature.fault(headers, _target(websocket), address, secret, self._clock.now())

    async def _twilio_fault(self, websocket: WebSocket, account_id: str, address: str, secret: str) -> str | None:
        try:
            tokens = await self._tokens(account_id, address)
        except CannotUnsealError:
            log.exception("auth token unusable", extra={"account_id": account_id, "ingest": address})
            return "the signature cannot be checked now"
        if not tokens:
            return None
        headers = handshake_of(websocket).headers
        bases = [f"wss://{headers.get('host', '')}", *([self._public_url] if self._public_url else [])]
        if "address" not in websocket.path_params:
            # The address and the secret are the user and the password in the URL.
            bases += [base.replace("://", f"://{address}:{secret}@", 1) for base in bases]
        return twilio_signature.fault(headers, bases, _target(websocket), tokens)


def _target(websocket: WebSocket) -> str:
    path, query = websocket.scope["raw_path"].decode("latin-1"), websocket.url.query
    return f"{path}?{query}" if query else path
