"""The bell of webhooks: it rings for the webhooks that want a new event.

It hears the events of the process's one watch of the store. It looks for webhooks only in accounts that have events,
and remembers them for a few seconds. Without any enabled webhook, it does not listen.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from graph.server.error_log import ErrorLog
from graph.server.event_hub import EventHub, HeardEvent
from graph.server.log_setup import logger
from recordings.model.feed_event import EventType
from recordings.model.webhook import Webhook
from recordings.ports.recording_store import MetadataStore
from recordings.ports.webhook_store import Endpoint
from recordings.use_cases.event_reader import MAX_ACCOUNTS

TTL: Final = 5.0
"""Seconds for which the webhooks of an account are remembered. A new webhook is due by itself after a longer time."""
_LOOK_SECONDS: Final = 5.0
_MAX_REMEMBERED: Final = 20_000
_PAGE: Final = 200
_log: Final = logger("webhooks")


class WebhookBell:
    """Calls `ring` with the id of each webhook that wants a new event, until `run` is cancelled."""

    def __init__(self, store: MetadataStore, hub: EventHub, ring: Callable[[str], None]) -> None:
        self._store = store
        self._hub = hub
        self._ring = ring
        self._heard: dict[tuple[str, tuple[str, ...]], set[EventType]] = {}
        self._must_check_all = False
        self._known: dict[str, tuple[float, Sequence[Webhook]]] = {}
        self._wake = asyncio.Event()
        self._errors = ErrorLog(_log)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    await self._work()
                except Exception as error:  # noqa: BLE001 - no error may end the loop
                    self._errors.write("webhooks not found", error)
                    self._must_check_all = True
                    await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self._hub.unlisten(self._hear)

    async def _work(self) -> None:
        while True:
            if await self._store.all_enabled_webhooks("", 1):
                self._hub.listen(self._hear)
            else:
                self._hub.unlisten(self._hear)
            deadline = time.monotonic() + _LOOK_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                self._wake.clear()
                if self._must_check_all:
                    self._must_check_all = False
                    await self._check_all()
                await self._ring_for_events()
                try:
                    async with asyncio.timeout(left):
                        await self._wake.wait()
                except TimeoutError:
                    break

    def _hear(self, events: Iterable[HeardEvent] | None) -> None:
        """Note new events. `None` means that some may have been missed."""
        if events is None:
            self._must_check_all = True
        for event, tree in events or ():
            self._heard.setdefault((event.account_id, tree), set()).add(event.type)
        self._wake.set()

    async def _ring_for_events(self) -> None:
        heard, self._heard = self._heard, {}
        await self._learn({account for own, tree in heard for account in (own, *tree)})
        for (own, tree), types in heard.items():
            for account in (own, *tree):
                for webhook in self._known[account][1]:
                    if (account == own or webhook.descendants) and webhook.wanted & types:
                        self._ring(webhook.id)

    async def _learn(self, accounts: set[str]) -> None:
        now = time.monotonic()
        if len(self._known) > _MAX_REMEMBERED:
            self._known.clear()
        missing = {each for each in accounts if each not in self._known or self._known[each][0] <= now}
        if not missing:
            return
        found: dict[str, list[Webhook]] = {each: [] for each in missing}
        for webhook in await self._store.enabled_webhooks(missing):
            found[webhook.account_id].append(webhook)
        self._known |= {account: (now + TTL, webhooks) for account, webhooks in found.items()}

    async def _check_all(self) -> None:
        """Ring for every webhook that has an event behind its cursor. Events may have been missed."""
        after = ""
        while page := await self._store.all_enabled_webhooks(after, _PAGE):
            for endpoint in page:
                if not endpoint.progress.holder and await self._has_event(endpoint):
                    self._ring(endpoint.webhook.id)
            after = page[-1].webhook.id

    async def _has_event(self, endpoint: Endpoint) -> bool:
        webhook = endpoint.webhook
        accounts = [webhook.account_id]
        if webhook.descendants:
            accounts += [each.id for each in await self._store.accounts_below(webhook.account_id, MAX_ACCOUNTS)]
        return bool(await self._store.events(accounts, endpoint.progress.cursor.position, None, 1))
