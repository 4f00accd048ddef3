"""An account's storage as a storage plan of Kazoo (`docs/v2_contract.md`, section 7.2), with no I/O."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from recordings.model.account import Account

HANDLERS: Final[Mapping[str, str]] = {
    "s3": "s3",
    "s3a": "s3",
    "http": "http",
    "https": "http",
    "gs": "google_storage",
    "gcs": "google_storage",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "gdrive": "google_drive",
    "dropbox": "dropbox",
}
"""Kazoo's handler for each kind of media store. Kazoo has no handler for the other kinds."""
_NAMES: Final = {"s3": "bucket", "google_storage": "bucket", "azure": "container"}
_OWN_NAME: Final = "Media store of this account"
_COMMON_NAME: Final = "Media store of the installation"


def storage_plan(account: Account, installation_store: str) -> dict[str, Any]:
    """Return the plan for the audio of an account. `installation_store` is the URL of the default media store.

    It has no secrets. Only a store of the account's own has its location, because accounts share the other one.
    """
    url = account.media or installation_store
    scheme = url.partition(":")[0]
    handler = HANDLERS.get(scheme, scheme)
    entry = {
        "handler": handler,
        "name": _OWN_NAME if account.media else _COMMON_NAME,
        "settings": _location(handler, account.media) if account.media else {},
    }
    key = hashlib.md5(f"{account.id} {url}".encode(), usedforsecurity=False).hexdigest()
    types = {"call_recording": {"attachments": {"handler": key}}}
    return {"id": account.id, "attachments": {key: entry}, "connections": {}, "plan": {"modb": {"types": types}}}


def _location(handler: str, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if handler == "http":
        return {"url": url}
    if handler not in _NAMES:
        return {}
    folder = parts.path.strip("/")
    return {_NAMES[handler]: parts.netloc} | ({"folder_base_path": folder} if folder else {})
