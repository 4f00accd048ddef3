"""Sending over SFTP, as the user of the URL: to the address that was checked, and without keys of this machine."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from adapters.delivery.target_url import folder_path
from adapters.net import Guard, connect
from adapters.net.fsspec_put import put_and_rename

PORT: Final = 22
_OWN_KEYS: Final = {"look_for_keys": False, "allow_agent": False}
"""A caller's host is not shown whose keys this machine has, unless an operator set them for it."""


def send(guard: Guard, path: Path, url: str, name: str, options: Mapping[str, Any], seconds: float) -> None:
    """Put a file into the folder of an `sftp://` URL; it has its name when all of it is there. Blocks.

    Raises:
        AddressRefusedError: the host may not be reached.
        Exception: whatever paramiko raises, and OSError.
    """
    # An extra: its libraries are there where it is used.
    from fsspec.implementations.sftp import SFTPFileSystem

    place = urlsplit(url)
    host, port = place.hostname or "", place.port or PORT
    named = {"username": unquote(place.username or "") or None, "password": unquote(place.password or "") or None}
    waits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), seconds)
    given = {**_OWN_KEYS, **waits, **{key: value for key, value in named.items() if value}, **options}
    with connect(guard, host, port, seconds) as connection:
        store = SFTPFileSystem(host, port=port, sock=connection, skip_instance_cache=True, **given)
        with closing(store.client):
            store.ftp.get_channel().settimeout(seconds)
            put_and_rename(store, path, folder_path(url, name))


async def deliver(guard: Guard, path: Path, url: str, name: str, options: Mapping[str, Any], seconds: float) -> None:
    """`send`, away from the event loop."""
    await asyncio.to_thread(send, guard, path, url, name, options, seconds)
