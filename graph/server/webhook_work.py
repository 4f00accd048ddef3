"""The delivery of webhooks by one server: it leases webhooks that have work, and sends their events.

Nothing is asked for each webhook. One bell of the process rings for new events (`webhook_bell.py`), and one look every
few seconds finds the webhooks whose retry is due, or whose server died. A server that wants to lease a webhook while
another one works on it tries again a moment later: that server may die before it sees the new event.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from secrets import token_hex
from typing import Final

from adapters.cancellation import cancel_and_wait
from adapters.fair_queue import FairQueue
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.model.instants import SECOND, Millis
from recordings.ports.clock import Clock
from recordings.ports.live_events import LiveEvents
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError
from recordings.ports.webhook_store import Endpoint, WebhookClaim, WebhookReporter
from recordings.use_cases.webhook_attempt import WebhookRequests
from recordings.use_cases.webhook_run import LEASE, Job, WebhookRun

SLOTS: Final = 256
"""Requests to receivers that work, at once."""
FAILING_SLOTS: Final = 64
"""Requests to receivers whose last attempt failed. They take no slot of the others."""
MAX_RUNS: Final = 512
"""Webhooks that this server works on at once."""
TURN_SECONDS: Final = 10.0
"""How long a webhook that always has events keeps its place while all places are taken."""
_LOOK_SECONDS: Final = 2.0
LINGER_SECONDS: Final = 2.0
"""How long a webhook stays leased after its last event."""
_AGAIN_SECONDS: Final = 2.0
_STEP_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 5.0
_MAX_RUNG: Final = 100_000
_log: Final = logger("webhooks")


class WebhookWork:
    """Delivers webhooks, from `run` until it is cancelled."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        live: LiveEvents,
        requests: WebhookRequests,
        clock: Clock,
        reporter: WebhookReporter,
        node: str,
        linger: float = LINGER_SECONDS,
        slots: tuple[int, int] = (SLOTS, FAILING_SLOTS),
    ) -> None:
        self._store = store
        self._live = live
        self._requests = requests
        self._clock = clock
        self._reporter = reporter
        self._node = node
        self._holder = f"{node}-{token_hex(4)}"
        """A restarted process is another holder. At its start, it ends the leases of the former one."""
        self._has_released = False
        self._linger_seconds = linger
        # No account has more than a quarter of them.
        self._slots, self._failing_slots = (FairQueue(each, most_of_owner=max(1, each // 4)) for each in slots)
        self._rung: OrderedDict[str, float] = OrderedDict()
        """The webhooks to lease, and from when on, in seconds."""
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._bells: dict[str, asyncio.Event] = {}
        self._quiet: OrderedDict[str, Millis] = OrderedDict()
        """The webhooks whose receivers are down, and until when."""
        self._wake = asyncio.Event()
        self._errors = ErrorLog(_log)

    @property
    def running(self) -> int:
        """How many webhooks this server works on."""
        return len(self._runs)

    def ring(self, webhook_id: str) -> None:
        """Note that a webhook has work, or that a client changed it."""
        self._quiet.pop(webhook_id, None)
        self._ring(webhook_id)
        self._wake.set()

    def ring_for_event(self, webhook_id: str) -> None:
        """Note that there is a new event for a webhook. It waits if the receiver is down."""
        if self._quiet.get(webhook_id, 0) <= self._clock.now():
            self._ring(webhook_id)

    def _ring(self, webhook_id: str) -> None:
        bell = self._bells.get(webhook_id)
        if bell is not None:
            bell.set()
        elif len(self._rung) < _MAX_RUNG:
            self._rung.setdefault(webhook_id, 0.0)
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled. Then abort the requests, and end the leases."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._release_former()
                    await self.start_due()
                except Exception as error:  # noqa: BLE001 - no error may end the loop
                    self._errors.write("webhooks not claimed", error)
                    await asyncio.sleep(_LOOK_SECONDS)
                await _wait(self._wake, _LOOK_SECONDS)
        finally:
            await self._stop()

    async def _release_former(self) -> None:
        """End the leases of the former process of this server, which was killed."""
        if not self._has_released:
            await self._store.release_webhooks(f"{self._node}-", self._clock.now())
            self._has_released = True

    async def settle(self) -> None:
        """Do all work that is due now, and return."""
        while await self.start_due() or self._runs:
            await asyncio.gather(*self._runs.values())

    async def start_due(self) -> int:
        """Lease webhooks that have work, and start to deliver them. Return how many."""
        free, now = MAX_RUNS - len(self._runs), time.monotonic()
        ids = [each for each, after in self._rung.items() if after <= now and each not in self._runs]
        # Neither the due ones nor the rung ones can keep the others out.
        started = await self._claim(max(free - len(ids), -(-free // 2)), None) if free else 0
        ids = ids[: free - started]
        if ids:
            started += await self._claim(len(ids), ids)
            for each in ids:
                await self._note_rung(each, now)
        return started

    async def _note_rung(self, webhook_id: str, now: float) -> None:
        """Forget a bell that was heard. Keep it while another server works on the webhook."""
        found = None if webhook_id in self._runs else await self._store.webhook(webhook_id)
        if found is None or not found.webhook.enabled:
            self._rung.pop(webhook_id, None)
        else:
            self._rung[webhook_id] = now + _AGAIN_SECONDS

    async def _claim(self, limit: int, ids: Sequence[str] | None) -> int:
        now = self._clock.now()
        claim = WebhookClaim(now=now, until=now + LEASE, holder=self._holder, limit=limit, ids=ids)
        claimed = await self._store.claim_webhooks(claim)
        for endpoint in claimed:
            self._start(endpoint)
        return len(claimed)

    def _start(self, endpoint: Endpoint) -> None:
        webhook_id = endpoint.webhook.id
        former = self._runs.get(webhook_id)
        if former is not None:
            # Its lease has expired: this process was stopped, or a client changed the webhook.
            former.cancel()
        self._bells[webhook_id] = asyncio.Event()
        task = asyncio.create_task(self._run(endpoint, former), name=f"webhook {webhook_id}")
        self._runs[webhook_id] = task
        task.add_done_callback(lambda done: self._done(webhook_id, done))

    def _done(self, webhook_id: str, task: asyncio.Task[None]) -> None:
        if self._runs.get(webhook_id) is task:
            del self._runs[webhook_id]
            if self._bells.pop(webhook_id).is_set():
                self._ring(webhook_id)

    async def _run(self, endpoint: Endpoint, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await asyncio.wait([former])
        run = WebhookRun(
            endpoint,
            store=self._store,
            live=self._live,
            requests=self._requests,
            clock=self._clock,
            reporter=self._reporter,
        )
        jobs: set[asyncio.Task[None]] = set()
        is_clean = False
        try:
            await self._deliver(run, self._bells[run.webhook.id], jobs)
            is_clean = True
        except asyncio.CancelledError:
            is_clean = True
            raise
        except Exception as error:  # noqa: BLE001 - the lease expires, and then it is tried again
            self._errors.write("webhook not delivered", error, webhook=run.webhook.id)
        finally:
            await cancel_and_wait(*jobs)
            await self._close(run, is_clean=is_clean)

    async def _close(self, run: WebhookRun, *, is_clean: bool) -> None:
        if run.is_paused:
            self._quiet[run.webhook.id] = run.pause_until
            if len(self._quiet) > _MAX_RUNG:
                del self._quiet[next(iter(self._quiet))]
        try:
            await run.close(release=is_clean)
        except StoreUnavailableError as error:
            self._errors.write("webhook not released", error)

    async def _deliver(self, run: WebhookRun, bell: asyncio.Event, jobs: set[asyncio.Task[None]]) -> None:
        began = time.monotonic()
        while not run.is_over:
            bell.clear()
            is_turn_over = len(self._runs) >= MAX_RUNS and time.monotonic() - began >= TURN_SECONDS
            if not is_turn_over:
                await run.read()
                while (job := run.next_job()) is not None:
                    jobs.add(asyncio.create_task(self._send(run, job)))
            must_save = run.must_save
            if jobs:
                await self._wait_for_any(jobs, bell)
            elif is_turn_over:
                # Others wait. This one is due again at once, behind them.
                return
            elif not run.is_idle:
                await asyncio.sleep(0)
            else:
                must_save = run.is_dirty
            if must_save and not await run.save():
                return
            if not jobs and run.is_idle and not await self._linger(run, bell):
                return

    async def _wait_for_any(self, jobs: set[asyncio.Task[None]], bell: asyncio.Event) -> None:
        """Wait until a request ends, or the bell rings. Raise the error of a request."""
        rung = asyncio.create_task(bell.wait())
        try:
            await asyncio.wait({*jobs, rung}, timeout=_STEP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung.cancel()
        for job in [job for job in jobs if job.done()]:
            jobs.discard(job)
            job.result()

    async def _linger(self, run: WebhookRun, bell: asyncio.Event) -> bool:
        """Wait a moment for further work. Return false if there is none."""
        if run.is_paused or run.is_over:
            return False
        due = run.due_at
        wait = None if due is None else (due - self._clock.now()) / SECOND
        if wait is not None and wait < self._linger_seconds:
            await _wait(bell, max(0.0, wait))
            return True
        return await _wait(bell, self._linger_seconds)

    async def _send(self, run: WebhookRun, job: Job) -> None:
        slots = self._failing_slots if run.is_failing else self._slots
        async with slots.slot(run.webhook.account_id):
            await run.send(job)

    async def _stop(self) -> None:
        runs = list(self._runs.values())
        for task in runs:
            task.cancel()
        if runs:
            await asyncio.wait(runs, timeout=_STOP_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Return true if the event is set within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return event.is_set()
