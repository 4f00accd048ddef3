"""The delivery of one webhook, while a server has its lease: when each event is sent, and when the progress is saved.

The events of a recording are sent in their order. A failed event waits in the progress, and holds back later ones of
its recording, but no others. The progress is one document, so the cursor and the waiting events are saved together.
Events that were delivered after the last save are sent again after a crash, with the same ids.

While a receiver is down, one event is tried at a time, and the cursor stays. No event is given up then.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from recordings.model.feed_event import EventCursor, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import DAY, MINUTE, SECOND, Millis
from recordings.model.webhook import DisabledReason, WaitingEvent, WebhookAnswer, WebhookAttempt
from recordings.ports.clock import Clock
from recordings.ports.live_events import LiveEvents
from recordings.ports.recording_store import MetadataStore
from recordings.ports.webhook_store import Endpoint, WebhookReporter
from recordings.rules.change_feed import shown
from recordings.rules.webhook_retries import (
    DISABLED_AFTER,
    DOWN_AFTER,
    Verdict,
    disabled_from,
    next_look,
    pause_after,
    verdict_of,
    wait_after,
)
from recordings.rules.webhook_waiting import WaitingEvents
from recordings.use_cases.event_reader import EventReader, ReadEvent, mark_of
from recordings.use_cases.webhook_attempt import WebhookRequests, attempt_of
from recordings.use_cases.webhook_disabling import disable_webhook

LEASE: Final[Millis] = 20 * SECOND
"""The time after which another server takes over from a server that died."""
RENEW: Final[Millis] = 5 * SECOND
SAVE: Final[Millis] = SECOND
"""How often the progress is saved while events are delivered."""
AT_ONCE: Final = 4
"""Requests to one receiver at once. After a failure it gets one at a time, until one succeeds."""
MAX_READ: Final = 64
"""Events that are read ahead."""
MAX_WAITING: Final = 1_000
"""Events that wait in the progress. When there are so many, no further events are read."""
DOWN_FOR: Final[Millis] = MINUTE
"""A receiver that was paused and failed for so long was down. All its waiting events are then tried at once."""
_MAX_PAGES: Final = 8
"""Pages without an event for this webhook that are read at once."""


@dataclass(slots=True, eq=False)
class Job:
    """An event to send now. `failed` is the number of its failed attempts. `row` is its recording, if it was read."""

    event: FeedEvent
    row: RecordingRow | None
    failed: int = 0


@dataclass(slots=True, eq=False)
class _Read:
    """An event of the feed that was read. It is settled when it was delivered, or waits in the progress."""

    event: FeedEvent
    row: RecordingRow | None
    cursor: EventCursor
    is_settled: bool = False


class WebhookRun:
    """Delivers the events of one leased webhook. It starts nothing by itself: its caller sends the jobs."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        store: MetadataStore,
        live: LiveEvents,
        requests: WebhookRequests,
        clock: Clock,
        reporter: WebhookReporter,
    ) -> None:
        self.webhook = endpoint.webhook
        self._progress = endpoint.progress
        self._store = store
        self._live = live
        self._requests = requests
        self._clock = clock
        self._reporter = reporter
        self._reader: EventReader | None = None
        self._read: deque[_Read] = deque()
        self._read_to = endpoint.progress.cursor.position
        self._waiting = WaitingEvents(endpoint.progress.waiting)
        self._in_flight: dict[str, Job] = {}
        self._attempts: list[WebhookAttempt] = []
        self._asked_until: Millis = 0
        """The end of the pause that the receiver asked for."""
        self._disabled: tuple[DisabledReason, str] | None = None
        self._is_caught_up = self._is_dirty = self._is_lost = False
        self._has_replayed = self._must_reopen = False
        self._saved_at = clock.now()

    # State

    @property
    def is_over(self) -> bool:
        """True if nothing more may be sent: the webhook is disabled, or another server or a client changed it."""
        return self._disabled is not None or self._is_lost

    @property
    def is_failing(self) -> bool:
        """True if the last attempt failed."""
        return self._progress.failures > 0

    @property
    def is_dirty(self) -> bool:
        """True if the progress changed since the last save."""
        return self._is_dirty

    @property
    def pause_until(self) -> Millis:
        """The end of the pause of a receiver that is down or throttles."""
        return self._progress.pause_until

    @property
    def is_idle(self) -> bool:
        """True if nothing is sent now, and only time or a new event changes this."""
        return not self._in_flight and (self.is_paused or self._is_full or self._is_caught_up)

    @property
    def is_paused(self) -> bool:
        """True while the receiver is down or throttles."""
        return self._clock.now() < self._progress.pause_until

    @property
    def must_save(self) -> bool:
        """True if the progress must be saved, or the lease be renewed."""
        # The age is negative if the clock was set back.
        age = abs(self._clock.now() - self._saved_at)
        return age >= RENEW or (self._is_dirty and age >= SAVE)

    @property
    def due_at(self) -> Millis | None:
        """The time of the next work, `None` if only a new event makes some."""
        next_due = self._waiting.next_due
        times = [] if next_due is None else [next_due]
        if (self._read or not self._is_caught_up) and not self._is_full:
            times.append(0)
        due = [max(min(times), self._progress.pause_until)] if times else []
        if (disabled_at := disabled_from(self.webhook, self._progress)) is not None:
            due.append(disabled_at)
        return min(due, default=None)

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING

    # Read

    async def read(self) -> None:
        """Read further events of the feed, if there is room for them.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        disabled_at = disabled_from(self.webhook, self._progress)
        if disabled_at is not None and self._clock.now() >= disabled_at:
            self._disabled = DisabledReason.FAILING, f"all attempts failed for {DISABLED_AFTER // DAY} days"
        pages = 0
        while self._can_read:
            reader = await self._opened()
            is_stored = reader.has_stored
            found = await (reader.next_stored() if is_stored else reader.next(0))
            if isinstance(found, ReadEvent):
                self._is_caught_up = False
                self._take(found)
            elif found is None and not is_stored:
                self._is_caught_up = self._progress.replay is None
                self._has_replayed = not self._is_caught_up
                break
            elif found is None:
                pages += 1
                if pages == _MAX_PAGES:
                    break
        self._settle_read()

    @property
    def _can_read(self) -> bool:
        is_closed = self.is_over or self.is_paused or self._is_full or self._has_replayed
        return not is_closed and len(self._read) < MAX_READ

    async def _opened(self) -> EventReader:
        if self._must_reopen:
            await self._close_reader()
        if self._reader is None:
            self._reader = EventReader(
                self._store, self._live, self.webhook.selection, self._progress.cursor, may_repeat=True
            )
        return self._reader

    def _take(self, found: ReadEvent) -> None:
        event, replay = found.event, self._progress.replay
        if replay is not None and event.stamp >= replay.until:
            self._has_replayed = True
            return
        is_wanted = replay is None or (
            (replay.types is None or event.type in replay.types)
            # The others follow after the replay.
            and (event.position <= replay.resume.position or mark_of(*event.key) in replay.resume.seen)
        )
        # After a crash, the cursor may be before an event that waits.
        is_known = self._waiting.has(event)
        self._read_to = event.position
        self._read.append(_Read(event, found.row, found.cursor, is_settled=is_known or not is_wanted))

    def _settle_read(self) -> None:
        """Put the events behind waiting ones of their recordings, and move the cursor behind the settled ones."""
        for each in self._read:
            if not each.is_settled and each.event.subject in self._waiting and not self._is_full:
                is_sent = each.event.subject in self._in_flight
                self._waiting.put(WaitingEvent(each.event, 0, 0), is_head_sent=is_sent)
                each.is_settled = self._is_dirty = True
        cursor = self._progress.cursor
        while self._read and self._read[0].is_settled:
            cursor = self._read.popleft().cursor
        if not self._read and self._has_replayed and self._progress.replay is not None:
            cursor = self._progress.replay.resume
            self._progress = replace(self._progress, replay=None)
            self._has_replayed, self._must_reopen = False, True
        elif not self._read and self._reader is not None and not self._must_reopen:
            cursor = self._reader.cursor
        if cursor != self._progress.cursor:
            self._progress = replace(self._progress, cursor=cursor)
            self._is_dirty = True

    async def _close_reader(self) -> None:
        self._must_reopen = False
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.aclose()

    # Send

    def next_job(self) -> Job | None:
        """Return the next event to send now, and note that it is being sent. `None` if there is none."""
        if self.is_over or self.is_paused or len(self._in_flight) >= (1 if self.is_failing else AT_ONCE):
            return None
        # A receiver may fail for some recordings only. After a failure, it gets another recording first.
        order = (self._new_job, self._waiting_job) if self.is_failing else (self._waiting_job, self._new_job)
        job = order[0]() or order[1]()
        if job is not None:
            self._in_flight[job.event.subject] = job
        return job

    def _new_job(self) -> Job | None:
        if self._is_full:
            return None
        seen: set[str] = set()
        for each in self._read:
            subject = each.event.subject
            is_held = subject in seen or subject in self._in_flight or subject in self._waiting
            if not each.is_settled and not is_held:
                return Job(each.event, each.row)
            if not each.is_settled:
                seen.add(subject)
        return None

    def _waiting_job(self) -> Job | None:
        # A replay may still read earlier events of the same recordings.
        last = None if self._progress.replay is None or self._is_full else self._read_to
        head = self._waiting.due(self._clock.now(), self._in_flight, last)
        return None if head is None else Job(head.event, None, head.attempts)

    async def send(self, job: Job) -> None:
        """Send a job, and note the outcome.

        Raises:
            CannotUnsealError: the secret cannot be decrypted.
            StoreUnavailableError: the store does not answer.
        """
        subject, at = job.event.subject, self._clock.now()
        try:
            if job.row is None and not job.event.type.is_of_account:
                row = (await self._store.rows({subject})).get(subject)
                job.row = None if row is None else shown(row)
            answer = await self._requests.send(self.webhook, job.event, job.row)
        finally:
            del self._in_flight[subject]
        if answer is None:
            # The format of the webhook has no request for the event.
            self._settle(job)
            self._is_dirty = True
        else:
            self._note(job, answer, at)
        self._settle_read()

    def _note(self, job: Job, answer: WebhookAnswer, at: Millis) -> None:
        attempt = attempt_of(job.event, answer, at=at, number=self._progress.sent, attempt=job.failed + 1)
        self._progress = replace(self._progress, sent=self._progress.sent + 1)
        self._attempts.append(attempt)
        self._is_dirty = True
        self._reporter.attempted(self.webhook, attempt)
        verdict = verdict_of(answer)
        if verdict is Verdict.DELIVERED:
            self._delivered(job)
        elif verdict is Verdict.GONE:
            # The event stays. It is sent again if a client enables the webhook.
            self._disabled = DisabledReason.GONE, "the receiver answered 410"
        else:
            self._failed(job, answer, verdict)

    def _delivered(self, job: Job) -> None:
        now, since = self._clock.now(), self._progress.failing_since
        was_down = self._progress.pauses > 0 and since is not None and now - since >= DOWN_FOR
        self._settle(job)
        # The success of an earlier request does not end the pause that the receiver asked for.
        self._progress = replace(
            self._progress, failures=0, failing_since=None, pauses=0, pause_until=self._asked_until, last_success=now
        )
        if was_down:
            # The receiver is back: it gets everything now.
            self._waiting.make_due(now)

    def _failed(self, job: Job, answer: WebhookAnswer, verdict: Verdict) -> None:
        now, before = self._clock.now(), self._progress
        attempts = job.failed + 1
        wait = wait_after(attempts, answer.retry_after)
        self._settle(job)
        if wait is None:
            since = job.event.stamp if before.given_up_since is None else min(before.given_up_since, job.event.stamp)
            self._progress = replace(before, given_up=before.given_up + 1, given_up_since=since)
            self._reporter.given_up(self.webhook, job.event)
        else:
            self._waiting.put(WaitingEvent(job.event, attempts, now + wait))
        failures, since = before.failures + 1, before.failing_since or now
        self._progress = replace(self._progress, failures=failures, failing_since=since, last_failure=now)
        if verdict is Verdict.THROTTLED or failures >= DOWN_AFTER:
            self._pause(now, answer.retry_after)

    def _pause(self, now: Millis, retry_after: Millis | None) -> None:
        """Pause. Of requests that failed at the same time, only the first one makes the pause longer."""
        before = self._progress
        if retry_after is not None:
            self._asked_until = max(self._asked_until, now + retry_after)
        if now >= before.pause_until:
            until = now + pause_after(before.pauses, retry_after)
            self._progress = replace(before, pauses=before.pauses + 1, pause_until=until)
        elif retry_after is not None:
            self._progress = replace(before, pause_until=max(before.pause_until, now + pause_after(0, retry_after)))

    def _settle(self, job: Job) -> None:
        """Remove an event from the waiting ones, or settle it among the read ones."""
        self._waiting.remove(job.event)
        for each in self._read:
            if each.event.key == job.event.key:
                each.is_settled = True

    # Save

    async def save(self, *, release: bool = False) -> bool:
        """Save the progress, and renew the lease or end it. Return false if the lease is lost.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        if self._is_lost:
            return False
        if self._disabled is not None:
            disabled = await disable_webhook(self._store, self.webhook, *self._disabled, self._clock.now())
            if disabled is not None:
                self._reporter.disabled(disabled)
        now, attempts = self._clock.now(), list(self._attempts)
        saved = replace(
            self._progress,
            waiting=self._waiting.sorted,
            due_at=next_look(self.webhook, self.due_at, now) if release else now + LEASE,
            holder="" if release else self._progress.holder,
            revision=self._progress.revision + 1,
        )
        self._is_dirty = False
        if not await self._store.save_progress(saved, attempts):
            self._is_lost = True
            return False
        del self._attempts[: len(attempts)]
        self._saved_at = now
        self._progress = replace(self._progress, revision=saved.revision)
        return True

    async def close(self, *, release: bool = True) -> None:
        """Stop to read; save the progress and end the lease, or, without `release`, let the lease expire."""
        await self._close_reader()
        if release:
            await self.save(release=True)
