"""Sending over FTP: binary, anonymous unless the URL has a user (`docs/v2_contract.md`, section 7.1).

`ftps://` is FTP that turns to TLS before anybody says who he is (RFC 4217), on the same port.
"""

import asyncio
import ftplib
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from adapters.delivery.target_url import folder_path
from adapters.net import AddressRefusedError, Guard, reachable

PORT: Final = 21


class _SecureFTP(ftplib.FTP_TLS):
    """FTP over TLS whose data connections resume the session of the first one, as most servers ask (RFC 4217, 10.2)."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """As in the library."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 - TLS comes next
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        return self.context.wrap_socket(connection, server_hostname=self.host, session=session), size


def send(guard: Guard, path: Path, url: str, name: str, seconds: float) -> None:
    """Put a file into the folder of an `ftp://` or `ftps://` URL; it has its name when all of it is there. Blocks.

    Raises:
        AddressRefusedError: the host may not be reached.
        OSError: the connection failed, or its certificate is not the host's. Also `ftplib.Error`, when the server
            refused.
    """
    place, target = urlsplit(url), folder_path(url, name)
    if not target.isprintable():
        # It would be another command.
        raise AddressRefusedError("the name of the file has a control character")
    with _client(place, seconds) as connection:
        host, port = place.hostname or "", place.port or PORT
        # To the address that was checked. The data connections go to the same one, whatever the server says.
        connection.connect(reachable(guard, host, port)[0], port)
        # The name that a certificate has to have.
        connection.host = host
        connection.login(unquote(place.username or "anonymous"), unquote(place.password or ""))
        if isinstance(connection, _SecureFTP):
            connection.prot_p()
        _store(connection, path, target)


def _client(place: SplitResult, seconds: float) -> ftplib.FTP:
    if place.scheme == "ftps":
        return _SecureFTP(timeout=seconds, context=ssl.create_default_context())
    return ftplib.FTP(timeout=seconds)  # noqa: S321 - the caller asked for it, and an operator allowed it


def _store(connection: ftplib.FTP, path: Path, target: str) -> None:
    passing = f"{target}.part"
    try:
        with path.open("rb") as file:
            connection.storbinary(f"STOR {passing}", file, blocksize=1 << 16)
        connection.rename(passing, target)
    except BaseException:
        with suppress(*ftplib.all_errors):
            connection.delete(passing)
        raise


async def deliver(guard: Guard, path: Path, url: str, name: str, seconds: float) -> None:
    """`send`, away from the event loop."""
    await asyncio.to_thread(send, guard, path, url, name, seconds)
