"""Delivery over SFTP, as the URL's user: to the checked address, and without this machine's keys."""

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
"""Do not offer this machine's keys to a host that a caller chose, except if an operator configured it."""


def send(guard: Guard, path: Path, url: str, name: str, options: Mapping[str, Any], seconds: float) -> None:
    """Put a file into the folder of an `sftp://` URL. Blocks.

    The file has its final name only when it is complete.

    Raises:
        AddressRefusedError: the guard does not allow the host.
        Exception: any error of paramiko, and OSError.
    """
    # paramiko is an optional dependency.
    from fsspec.implementations.sftp import SFTPFileSystem

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORT
    login = {"username": unquote(parts.username or "") or None, "password": unquote(parts.password or "") or None}
    timeouts = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), seconds)
    settings = {**_OWN_KEYS, **timeouts, **{key: value for key, value in login.items() if value}, **options}
    with connect(guard, host, port, seconds) as connection:
        store = SFTPFileSystem(host, port=port, sock=connection, skip_instance_cache=True, **settings)
        with closing(store.client):
            store.ftp.get_channel().settimeout(seconds)
            put_and_rename(store, path, folder_path(url, name))


async def deliver(guard: Guard, path: Path, url: str, name: str, options: Mapping[str, Any], seconds: float) -> None:
    """Call `send` in a thread."""
    await asyncio.to_thread(send, guard, path, url, name, options, seconds)
