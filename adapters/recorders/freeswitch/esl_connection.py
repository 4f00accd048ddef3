"""A connection to FreeSWITCH's Event Socket: log in, send commands, and read events."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from adapters.recorders.freeswitch.esl_protocol import (
    AuthRequest,
    EslProtocol,
    Farewell,
    Message,
    ProtocolError,
    Refusal,
    Reply,
    SwitchEvent,
    command,
)
from adapters.recorders.switch_base import ConnectionLost, SwitchRejected

CONNECT_DEADLINE: Final = 5.0
"""Seconds to connect and to log in."""
COMMAND_DEADLINE: Final = 10.0
"""Seconds until the reply to a command must arrive. Later, the connection counts as lost."""
MAX_WAITING: Final = 10_000
"""Maximum number of commands without a reply."""
_CHUNK: Final = 64 * 1024
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


class EslConnection:
    """A connection that is logged in. `read` must run, or no reply arrives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = EslProtocol()
        self._early: deque[Message] = deque()
        """Messages that arrived before `read`."""
        self._replies: deque[asyncio.Future[Reply]] = deque()
        self._is_lost = False

    @classmethod
    async def open(cls, host: str, port: int, user: str, password: str) -> "EslConnection":
        """Connect and log in.

        Raises:
            SwitchRejected: the password is wrong, or the access list of the switch does not allow this server.
            ConnectionLost: the switch is unreachable, does not answer, or speaks another protocol.
        """
        try:
            async with asyncio.timeout(CONNECT_DEADLINE):
                reader, writer = await asyncio.open_connection(host, port)
                connection = cls(reader, writer)
                try:
                    _keep_alive(writer)
                    await connection._log_in(user, password)
                except BaseException:
                    connection.close()
                    raise
        except TimeoutError as error:
            raise ConnectionLost(f"no answer within {CONNECT_DEADLINE:g} s") from error
        return connection

    async def _log_in(self, user: str, password: str) -> None:
        if not isinstance(await self._next(), AuthRequest):
            raise ConnectionLost("this is not an Event Socket: it does not ask for the password")
        try:
            login = command("userauth", f"{user}:{password}") if user else command("auth", password)
        except ValueError:
            raise SwitchRejected("the password must not have control characters") from None
        self._writer.write(login)
        reply = await self._next()
        if not isinstance(reply, Reply) or not reply.text.startswith("+OK"):
            raise SwitchRejected("the password is wrong")

    async def _next(self) -> Message:
        while not self._early:
            self._early.extend(self._decode(await self._reader.read(_CHUNK)))
        message = self._early.popleft()
        if isinstance(message, Refusal):
            raise SwitchRejected(f"the access list (apply-inbound-acl) does not allow this server: {message.text}")
        return message

    def _decode(self, data: bytes) -> list[Message]:
        if not data:
            raise ConnectionLost("the switch closed the connection")
        try:
            return self._protocol.feed(data)
        except ProtocolError as error:
            raise ConnectionLost(f"the switch sent an invalid message: {error}") from error

    async def read(self, on_event: Callable[[SwitchEvent], None]) -> None:
        """Pass on events until the connection is lost. `on_event` must not block. Raises `ConnectionLost`."""
        try:
            while True:
                while self._early:
                    self._receive(self._early.popleft(), on_event)
                self._early.extend(self._decode(await self._reader.read(_CHUNK)))
        except OSError as error:
            raise ConnectionLost(f"the connection was lost: {error.strerror or type(error).__name__}") from error
        finally:
            self.close()

    def _receive(self, message: Message, on_event: Callable[[SwitchEvent], None]) -> None:
        match message:
            case SwitchEvent():
                on_event(message)
            case Reply():
                if not self._replies:
                    raise ConnectionLost("the switch replied to no command")
                reply = self._replies.popleft()
                # A caller that was cancelled waits no longer, but its reply keeps its place in the order.
                if not reply.done():
                    reply.set_result(message)
            case Farewell():
                raise ConnectionLost(f"the switch closes the connection: {message.text.partition(chr(10))[0]}")
            case _:
                raise ConnectionLost("the switch asks for the password again")

    async def send(self, *parts: str) -> Reply:
        """Send a command and return its reply.

        Raises:
            ConnectionLost: the connection is lost, or the reply is late. A late reply also ends the connection, because
                the switch may be stuck.
            ValueError: the command has control characters.
        """
        text = command(*parts)
        if self._is_lost or len(self._replies) >= MAX_WAITING:
            raise ConnectionLost("the connection is lost" if self._is_lost else "too many commands wait for replies")
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies.append(waiting)
        self._writer.write(text)
        try:
            async with asyncio.timeout(COMMAND_DEADLINE):
                return await waiting
        except TimeoutError as error:
            self.close()
            raise ConnectionLost(f"no reply within {COMMAND_DEADLINE:g} s") from error

    async def ask(self, *parts: str) -> str:
        """Run an API command of the switch and return its output, without spaces around it. Raises as `send`."""
        return (await self.send("api", *parts)).text.strip()

    def close(self) -> None:
        """Close the connection. Commands that wait fail."""
        self._is_lost = True
        self._writer.transport.abort()
        while self._replies:
            if not (waiting := self._replies.popleft()).done():
                waiting.set_exception(ConnectionLost("the connection was lost before the reply"))


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the system find a peer that is gone without a FIN, although this side only reads."""
    opened: socket.socket = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            opened.setsockopt(socket.IPPROTO_TCP, option, value)
