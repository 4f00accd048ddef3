"""The delivery of a webhook is compared with a simple model: at least once, and in order for each recording."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import DAY, HOUR, MINUTE, SECOND, Millis
from recordings.model.webhook import (
    DisabledReason,
    Replay,
    Webhook,
    WebhookAnswer,
    WebhookAttempt,
    WebhookProgress,
    start_of,
)
from recordings.ports.recording_store import MetadataStore
from recordings.ports.webhook_store import Endpoint, WebhookClaim
from recordings.rules.webhook_retries import JITTER, KNOWN_AFTER, MAX_ATTEMPTS, WAITS, Verdict, verdict_of
from recordings.use_cases.webhook_attempt import WebhookRequests
from recordings.use_cases.webhook_run import AT_ONCE, LEASE, Job, WebhookRun
from tests.support.fake_clock import FakeClock
from tests.support.memory_events import ACCOUNT, MemoryEvents
from tests.support.memory_webhooks import MemoryWebhooks

HOOK = Webhook(id="1" * 32, account_id=ACCOUNT, url="https://example.org/", created=0, modified=0)
OK, BAD, BUSY = WebhookAnswer(200), WebhookAnswer(500), WebhookAnswer(503)
Answer = Callable[[FeedEvent], WebhookAnswer]


class Store(MemoryEvents, MemoryWebhooks):
    """Events and webhooks in memory."""

    def __init__(self) -> None:
        MemoryEvents.__init__(self)
        MemoryWebhooks.__init__(self)
        self.added: list[FeedEvent] = []

    async def add_event(self, event: FeedEvent) -> None:
        self.added.append(event)


class Delivery:
    """A webhook, its receiver, and the servers that deliver to it."""

    def __init__(self, webhook: Webhook = HOOK) -> None:
        self.store, self.clock = Store(), FakeClock()
        self.answer: Answer = lambda _: OK
        self.sent: list[FeedEvent] = []
        self.delivered: list[FeedEvent] = []
        self.reported: list[Any] = []
        self.times: list[Millis] = []
        self.run: WebhookRun | None = None
        self.jobs: list[Job] = []
        progress = WebhookProgress(webhook_id=webhook.id, cursor=start_of(0), due_at=0)
        self.store.endpoints[webhook.id] = Endpoint(webhook, progress)

    async def send(self, _webhook: Webhook, event: FeedEvent, _row: RecordingRow | None) -> WebhookAnswer:
        self.sent.append(event)
        self.times.append(self.clock.now())
        answer = self.answer(event)
        if answer is OK:
            self.delivered.append(event)
        return answer

    def attempted(self, _webhook: Webhook, _attempt: WebhookAttempt) -> None:
        """Nothing is checked here."""

    def given_up(self, _webhook: Webhook, event: FeedEvent) -> None:
        self.reported.append(event)

    def disabled(self, webhook: Webhook) -> None:
        self.reported.append(webhook.disabled)

    @property
    def progress(self) -> WebhookProgress:
        return self.store.endpoints[HOOK.id].progress

    def happen(self, subject: str, kind: EventType = EventType.AMENDED) -> None:
        self.store.begin(subject, kind)
        self.store.commit(-1)
        self.store.advance()
        self.store.ring()

    async def lease(self) -> bool:
        """Lease the webhook, by its id. A lease of a dead server must expire first."""
        now = self.clock.now()
        claim = WebhookClaim(now=now, until=now + LEASE, holder="node", limit=1, ids=[HOOK.id])
        claimed = await self.store.claim_webhooks(claim)
        if claimed:
            self.run = WebhookRun(
                claimed[0],
                store=cast("MetadataStore", self.store),
                live=self.store,
                requests=cast("WebhookRequests", self),
                clock=self.clock,
                reporter=self,
            )
            self.jobs = []
        return bool(claimed)

    async def step(self, place: int = 0) -> bool:
        """Read, take all jobs, and end one of them. Return false if there is nothing to do."""
        if self.run is None or self.run.is_over:
            return False
        await self.run.read()
        while (job := self.run.next_job()) is not None:
            self.jobs.append(job)
        assert len(self.jobs) <= AT_ONCE
        if self.jobs:
            await self.run.send(self.jobs.pop(place % len(self.jobs)))
            return True
        return not self.run.is_idle

    def die(self) -> None:
        """Lose everything that was not saved."""
        self.run, self.jobs = None, []

    async def settle(self) -> None:
        """Do all work that is due now."""
        if self.run is None and not await self.lease():
            return
        while await self.step():
            pass
        if self.run is not None:
            await self.run.close()
        self.run = None

    async def work_until(self, end: Millis) -> None:
        """Do everything that is due up to a time."""
        while True:
            await self.settle()
            due = self.progress.due_at
            if not self.store.endpoints[HOOK.id].webhook.enabled or due is None or due > end:
                break
            self.clock.move(max(0, due - self.clock.now()))
        self.clock.move(max(0, end - self.clock.now()))


class RandomDelivery(Delivery):
    """A delivery with the actions of the property below."""

    def __init__(self) -> None:
        super().__init__()
        self.has_died = False

    async def new_event(self, value: int) -> None:
        self.happen("abcd"[value % 4])

    async def begin(self, value: int) -> None:
        self.store.begin("abcd"[value % 4])

    async def commit(self, value: int) -> None:
        self.store.commit(value)

    async def watermark(self, _: int) -> None:
        self.store.advance()

    async def ring(self, _: int) -> None:
        self.store.ring()

    async def gap(self, _: int) -> None:
        self.store.lose()

    async def work(self, value: int) -> None:
        if self.run is not None or await self.lease():
            for place in range(value):
                await self.step(place)

    async def save(self, _: int) -> None:
        if self.run is not None:
            assert await self.run.save()
            keys = [each.event.key for each in self.progress.waiting]
            assert len(keys) == len(set(keys))

    async def crash(self, _: int) -> None:
        self.has_died = self.has_died or self.run is not None
        self.die()

    async def script(self, value: int) -> None:
        failing = {subject for place, subject in enumerate("abc") if value >> place & 1}
        self.answer = lambda event: BAD if event.subject in failing else OK

    async def wait(self, value: int) -> None:
        self.clock.move((SECOND, MINUTE, HOUR)[value % 3])


ACTIONS = [name for name, each in vars(RandomDelivery).items() if callable(each) and not name.startswith("_")]
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 12)), min_size=20, max_size=120)


@given(steps=STEPS)
@settings(max_examples=120, deadline=None)
async def test_every_event_is_delivered_and_those_of_a_recording_in_order(steps: list[tuple[str, int]]) -> None:
    world = RandomDelivery()
    store = world.store
    for name, value in steps:
        await getattr(world, name)(value)
    while store.begun:
        store.commit(0)
    store.advance()
    store.ring()
    world.answer = lambda _: OK
    world.clock.move(LEASE)
    await world.work_until(world.clock.now() + 3 * DAY)
    assert {event.key for event in world.delivered} == {event.key for event in store.visible}
    assert world.progress.waiting == ()
    in_order(world.delivered)
    if not world.has_died:
        assert len(world.delivered) == len(store.visible)


def in_order(delivered: list[FeedEvent]) -> None:
    """Check that each event came after all earlier ones of its recording."""
    known: dict[str, set[int]] = {}
    for event in delivered:
        before = known.setdefault(event.subject, set())
        assert before >= set(range(event.revision)), event
        before.add(event.revision)


async def test_a_failed_event_holds_back_its_recording_only() -> None:
    world = Delivery()
    world.answer = lambda event: BAD if event.subject == "a" else OK
    for subject in "aabacb":
        world.happen(subject)
    await world.settle()
    assert [event.key for event in world.delivered] == [("b", 0), ("c", 0), ("b", 1)]
    assert [(each.event.key, each.attempts) for each in world.progress.waiting] == [
        (("a", 0), 1), (("a", 1), 0), (("a", 2), 0)
    ]  # fmt: skip
    world.answer = lambda _: OK
    await world.work_until(world.clock.now() + MINUTE)
    assert [event.key for event in world.delivered][3:] == [("a", 0), ("a", 1), ("a", 2)]


@pytest.mark.event_bar(5)
async def test_an_event_has_ten_attempts_at_the_schedule() -> None:
    world = Delivery()
    world.answer = lambda _: BAD
    world.happen("a")
    await world.work_until(world.clock.now() + 4 * DAY)
    assert len(world.sent) == MAX_ATTEMPTS
    waits = [later - earlier for earlier, later in zip(world.times, world.times[1:], strict=False)]
    for wait, planned in zip(waits, WAITS, strict=True):
        assert planned * (1 - JITTER) <= wait <= planned * (1 + JITTER) + 1
    assert [event.key for event in world.reported] == [("a", 0)]
    assert (world.progress.given_up, world.progress.given_up_since) == (1, world.sent[0].stamp)
    assert world.progress.waiting == ()


async def test_five_days_of_only_failures_disable_the_webhook() -> None:
    world = Delivery()
    world.answer = lambda _: BAD
    world.happen("a")
    started = world.clock.now()
    await world.work_until(started + 5 * DAY - MINUTE)
    assert world.store.endpoints[HOOK.id].webhook.enabled
    await world.work_until(started + 6 * DAY)
    webhook = world.store.endpoints[HOOK.id].webhook
    assert (webhook.disabled, webhook.disabled_at) == (DisabledReason.FAILING, started + 5 * DAY)
    assert world.reported[-1] is DisabledReason.FAILING
    (event,) = world.store.added
    assert (event.type, event.subject, event.account_id) == (EventType.WEBHOOK_DISABLED, HOOK.id, ACCOUNT)


async def test_a_receiver_that_is_gone_disables_its_webhook_and_keeps_the_event() -> None:
    world = Delivery()
    world.answer = lambda _: WebhookAnswer(410)
    world.happen("a")
    await world.settle()
    assert world.store.endpoints[HOOK.id].webhook.disabled is DisabledReason.GONE
    assert len(world.sent) == 1
    assert world.progress.cursor.position < world.sent[0].position


async def test_a_receiver_that_is_down_gets_one_request_at_a_time_and_then_everything() -> None:
    world = Delivery()
    world.answer = lambda _: BAD
    for number in range(300):
        world.happen(f"r{number}")
    started = world.clock.now()
    await world.work_until(started + 80 * HOUR)
    assert len(world.sent) < 30
    assert len(world.progress.waiting) < 30
    assert world.progress.given_up == 0
    world.answer = lambda _: OK
    # A pause is 24 hours and up to 20 % more.
    await world.work_until(started + 110 * HOUR)
    assert len({event.key for event in world.delivered}) == 300
    in_order(world.delivered)
    assert world.progress.waiting == ()


@pytest.mark.event_bar(5)
async def test_a_receiver_that_was_down_for_80_hours_gets_all_events_by_a_replay() -> None:
    world = Delivery()
    world.answer = lambda _: BAD
    for hour in range(80):
        for number in range(3):
            world.happen(f"r{number}")
        await world.work_until(world.clock.now() + HOUR)
        assert hour >= 0
    world.answer = lambda _: OK
    replay = Replay(since=0, until=world.store.now + 1, resume=world.progress.cursor)
    waiting = tuple(replace(each, due_at=world.clock.now()) for each in world.progress.waiting)
    changed = replace(
        world.progress, cursor=start_of(0), replay=replay, waiting=waiting, pause_until=0,
        revision=world.progress.revision + 1,
    )  # fmt: skip
    assert await world.store.save_progress(changed)
    await world.settle()
    assert {event.key for event in world.delivered} == {event.key for event in world.store.visible}
    in_order(world.delivered)
    assert world.progress.replay is None
    assert world.progress.waiting == ()


async def test_a_throttling_receiver_gets_nothing_until_its_own_time() -> None:
    world = Delivery()
    world.answer = lambda _: WebhookAnswer(429, retry_after=10 * HOUR)
    for subject in "abcdefgh":
        world.happen(subject)
    await world.settle()
    assert len(world.sent) == AT_ONCE
    assert world.progress.pause_until == world.clock.now() + 10 * HOUR
    world.answer = lambda _: OK
    await world.work_until(world.clock.now() + 10 * HOUR - 1)
    assert world.delivered == []
    await world.work_until(world.clock.now() + 1)
    assert len(world.delivered) == 8


async def test_a_recording_that_makes_a_receiver_throttle_does_not_stop_the_others() -> None:
    world = Delivery()
    world.answer = lambda event: BUSY if event.subject == "a" else OK
    world.happen("a")
    for number in range(50):
        world.happen(f"r{number}")
        await world.work_until(world.clock.now() + MINUTE)
    assert len({event.subject for event in world.delivered}) == 50
    assert len([event for event in world.sent if event.subject == "a"]) <= 4


async def test_a_replay_sends_the_events_of_its_period_and_types_and_then_the_new_ones() -> None:
    world = Delivery()
    for number in range(5):
        world.happen("a", EventType.STORED if number % 2 else EventType.AMENDED)
    await world.settle()
    first, last = world.delivered[1], world.delivered[4]
    world.delivered.clear()
    replay = Replay(
        since=first.stamp, until=last.stamp, types=frozenset({EventType.STORED}), resume=world.progress.cursor
    )
    changed = replace(world.progress, cursor=start_of(first.stamp), replay=replay, revision=world.progress.revision + 1)
    assert await world.store.save_progress(changed)
    world.happen("a")
    await world.settle()
    assert [event.revision for event in world.delivered] == [1, 3, 5]
    assert world.progress.replay is None


async def test_a_client_that_changes_the_progress_ends_the_run() -> None:
    world = Delivery()
    world.happen("a")
    assert await world.lease()
    await world.step()
    found = world.progress
    assert await world.store.save_progress(replace(found, cursor=start_of(0), revision=found.revision + 1))
    assert world.run is not None
    assert not await world.run.save()
    assert world.run.is_over


@pytest.mark.parametrize("answer", [OK, BAD, WebhookAnswer(410)], ids=["delivered", "failed", "gone"])
async def test_a_webhook_that_is_deleted_during_a_delivery_stays_deleted(answer: WebhookAnswer) -> None:
    world = Delivery()

    def delete(_: FeedEvent) -> WebhookAnswer:
        # The deletion of an account deletes its webhooks, too.
        del world.store.endpoints[HOOK.id]
        return answer

    world.answer = delete
    world.happen("a")
    world.happen("b")
    assert await world.lease()
    await world.step()
    assert world.run is not None
    assert not await world.run.save()
    assert world.run.is_over
    await world.run.close()
    assert (world.store.endpoints, world.store.tried, world.store.added) == ({}, {}, [])
    assert not await world.lease()


async def test_an_idle_webhook_is_due_at_no_time() -> None:
    world = Delivery()
    world.happen("a")
    await world.settle()
    assert (world.progress.due_at, world.progress.holder) == (None, "")


async def test_a_service_that_was_stopped_for_five_days_tries_again_before_it_disables() -> None:
    world = Delivery()
    world.answer = lambda _: BAD
    world.happen("a")
    await world.settle()
    world.clock.move(6 * DAY)
    world.answer = lambda _: OK
    await world.settle()
    assert world.store.endpoints[HOOK.id].webhook.enabled
    assert [event.key for event in world.delivered] == [("a", 0)]


async def test_a_late_success_does_not_end_the_pause_that_the_receiver_asked_for() -> None:
    world = Delivery()
    world.answer = lambda event: WebhookAnswer(429, retry_after=HOUR) if event.subject == "a" else OK
    for subject in "abcdef":
        world.happen(subject)
    await world.settle()
    assert [event.subject for event in world.sent] == list("abcd")
    assert world.progress.pause_until == world.clock.now() + HOUR
    world.answer = lambda _: OK
    await world.work_until(world.clock.now() + HOUR)
    assert {event.subject for event in world.delivered} == set("abcdef")


async def test_a_replay_keeps_the_order_of_a_recording_whose_first_events_were_given_up() -> None:
    world = Delivery()
    world.answer = lambda _: BAD
    for _ in range(5):
        world.happen("a")
    await world.work_until(world.clock.now() + 4 * DAY)
    assert world.progress.given_up > 0
    world.answer = lambda _: OK
    now = world.clock.now()
    replay = Replay(since=0, until=world.store.now + 1, resume=world.progress.cursor)
    waiting = tuple(replace(each, due_at=now) for each in world.progress.waiting)
    changed = replace(
        world.progress, cursor=start_of(0), replay=replay, waiting=waiting, pause_until=0, due_at=now,
        revision=world.progress.revision + 1,
    )  # fmt: skip
    assert await world.store.save_progress(changed)
    await world.settle()
    assert [event.revision for event in world.delivered] == list(range(5))


async def test_a_410_with_former_settings_does_not_disable_the_webhook() -> None:
    world = Delivery()
    world.answer = lambda _: WebhookAnswer(410)
    world.happen("a")
    assert await world.lease()
    assert await world.store.save_webhook(replace(HOOK, url="https://example.net/", revision=HOOK.revision + 1))
    while await world.step():
        pass
    assert world.run is not None
    await world.run.close()
    assert world.store.endpoints[HOOK.id].webhook.enabled
    assert world.store.added == []


async def test_a_changed_webhook_is_looked_at_again_when_every_server_knows_it() -> None:
    changed = FakeClock().now()
    world = Delivery(replace(HOOK, modified=changed))
    await world.settle()
    assert world.progress.due_at == changed + KNOWN_AFTER
    await world.work_until(changed + KNOWN_AFTER)
    assert world.progress.due_at is None


async def test_progress_is_saved_although_the_clock_was_set_back() -> None:
    world = Delivery()
    world.happen("a")
    assert await world.lease()
    await world.step()
    assert world.run is not None
    world.clock.move(-HOUR)
    assert world.run.must_save


@pytest.mark.parametrize("error", ["", "the response has more than 1048576 bytes"])
def test_a_410_counts_although_its_body_is_too_long(error: str) -> None:
    assert verdict_of(WebhookAnswer(410, error=error)) is Verdict.GONE
