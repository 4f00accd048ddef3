"""Sending over FTP: binary, anonymous unless the URL has a user (contract section 7.1)."""

import asyncio
import ftplib
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from adapters.delivery.address import folder_address
from adapters.net import AddressRefusedError, Guard

PORT: Final = 21


def send(guard: Guard, path: Path, url: str, name: str, seconds: float) -> None:
    """Put a file into the folder of an `ftp://` URL; it has its name when all of it is there. Blocks.

    Raises:
        AddressRefusedError: the host may not be reached.
        OSError: the connection failed. Also `ftplib.Error`, when the server refused.
    """
    place = urlsplit(folder_address(url, name))
    target = unquote(place.path)
    if not target.isprintable():
        # It would be another command.
        raise AddressRefusedError("the name of the file has a control character")
    with ftplib.FTP(timeout=seconds) as connection:  # noqa: S321 - the caller asked for it, and an operator allowed it
        # To the address that was checked. The data connections go to the same one, whatever the server says.
        connection.connect(_address(guard, place), place.port or PORT)
        connection.login(unquote(place.username or "anonymous"), unquote(place.password or ""))
        _store(connection, path, target)


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


def _address(guard: Guard, place: SplitResult) -> str:
    """An address of the host that it may be reached at."""
    host = place.hostname or ""
    guard.check_host(host)
    found = socket.getaddrinfo(host, place.port or PORT, type=socket.SOCK_STREAM)
    for *_, address in found:
        if guard.allows(host, str(address[0])):
            return str(address[0])
    raise AddressRefusedError(f"the host {host!r} is not at a public address")


async def deliver(guard: Guard, path: Path, url: str, name: str, seconds: float) -> None:
    """`send`, away from the event loop."""
    await asyncio.to_thread(send, guard, path, url, name, seconds)
