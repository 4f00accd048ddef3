"""Delivery over FTP: binary, and anonymous if the URL has no user (docs/v2_contract.md, section 7.1).

`ftps://` is FTP that changes to TLS on the same port, before the login (RFC 4217).
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
    """FTP over TLS. Its data connections resume the TLS session of the control connection.

    Most servers require this (RFC 4217, section 10.2).
    """

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """Open a data connection, as in the base class."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 - the next step starts TLS
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        return self.context.wrap_socket(connection, server_hostname=self.host, session=session), size


def send(guard: Guard, path: Path, url: str, name: str, seconds: float) -> None:
    """Put a file into the folder of an `ftp://` or `ftps://` URL. Blocks.

    The file has its final name only when it is complete.

    Raises:
        AddressRefusedError: the guard does not allow the host.
        OSError: the connection failed, or the certificate is for another host.
        ftplib.Error: the server refused.
    """
    parts, target = urlsplit(url), folder_path(url, name)
    if not target.isprintable():
        # A line break in the name would start another FTP command.
        raise AddressRefusedError("the file name has a control character")
    with _client(parts, seconds) as connection:
        host, port = parts.hostname or "", parts.port or PORT
        # Connect to the checked address. The data connections use the same one, also if the server names another.
        connection.connect(reachable(guard, host, port)[0], port)
        # The certificate must be for this name.
        connection.host = host
        connection.login(unquote(parts.username or "anonymous"), unquote(parts.password or ""))
        if isinstance(connection, _SecureFTP):
            connection.prot_p()
        _store(connection, path, target)


def _client(parts: SplitResult, seconds: float) -> ftplib.FTP:
    if parts.scheme == "ftps":
        return _SecureFTP(timeout=seconds, context=ssl.create_default_context())
    return ftplib.FTP(timeout=seconds)  # noqa: S321 - the caller chose FTP, and an operator allowed it


def _store(connection: ftplib.FTP, path: Path, target: str) -> None:
    temporary = f"{target}.part"
    try:
        with path.open("rb") as file:
            connection.storbinary(f"STOR {temporary}", file, blocksize=1 << 16)
        connection.rename(temporary, target)
    except BaseException:
        with suppress(*ftplib.all_errors):
            connection.delete(temporary)
        raise


async def deliver(guard: Guard, path: Path, url: str, name: str, seconds: float) -> None:
    """Call `send` in a thread."""
    await asyncio.to_thread(send, guard, path, url, name, seconds)
