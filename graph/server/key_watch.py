"""Follow changes of the key file and of the signing key, so that a rotation needs no restart."""

import asyncio
from typing import Final

from adapters.identity import InstallationKey, SecretFileError
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.ports.account_stores import LocationStore
from recordings.ports.recording_store import StoreUnavailableError

INTERVAL: Final = 2.0
"""Seconds between two checks. A change applies within this time."""
_log: Final = logger("server")


class KeyWatch:
    """Reads the key file again when it changes, and the id of the signing key from the metadata store."""

    def __init__(self, key: InstallationKey, store: LocationStore) -> None:
        self._key = key
        self._store = store
        self._errors = ErrorLog(_log)
        self._problem: str | None = None

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.check()
            except StoreUnavailableError:
                # Another part reports this.
                continue
            except Exception as error:  # noqa: BLE001 - a file that is copied now can be read later
                self._errors.write("installation key not checked", error)

    async def check(self) -> None:
        """Apply a change of the file or of the signing key. The keys stay as they are if the file cannot be used."""
        signing = (await self._store.installation()).key_id
        # The file is read after the store: a rotation writes the file first.
        before = self._key.ids, self._key.signing_id
        try:
            await asyncio.to_thread(self._key.reload)
        except SecretFileError as error:
            self._problem = "the key file cannot be read: this server continues with the keys that it has read before"
            self._errors.write("installation key not read", error)
        else:
            self._problem = None
        if signing is not None and not self._key.sign_with(signing):
            self._problem = f"the key file lacks the key {signing}, with which other servers sign: copy it from them"
            self._errors.write("installation key missing", SecretFileError(self._problem))
        after = self._key.ids, self._key.signing_id
        if after != before:
            _log.info("installation key changed", keys=list(after[0]), signing=after[1])

    async def report(self) -> str | None:
        """Return why this server's keys differ from those of the installation, for `/readyz`."""
        return self._problem
