"""A server that dies before or after any of its calls loses no event of a webhook, and sends no event with two ids.

A first delivery without a death shows the calls to the store and to the receiver. Then each of them gets a delivery of
its own, in which the server dies there. Its lease expires, and another server continues.
"""

from collections.abc import Callable
from typing import Any

import pytest

from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.instants import DAY
from recordings.model.webhook import DisabledReason, WebhookAnswer
from recordings.rules.event_document import event_id
from recordings.use_cases.webhook_run import LEASE
from tests.domain.test_webhook_run import BAD, HOOK, OK, Delivery, in_order

CALLS = ("claim_webhooks", "watermark", "events", "rows", "save_progress", "save_webhook", "webhook", "add_event")


class KilledError(BaseException):
    """The server is dead."""


class KilledDelivery(Delivery):
    """A delivery whose server dies at a step: before or after a call."""

    def __init__(self, kill_at: int | None = None) -> None:
        super().__init__()
        self.kill_at = kill_at
        self.steps: list[str] = []
        for name in CALLS:
            setattr(self.store, name, self._armed(name, getattr(self.store, name)))

    def _armed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            self.reach(f"{name} before")
            result = await method(*arguments, **named)
            self.reach(f"{name} after")
            return result

        return call

    def reach(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) - 1 == self.kill_at:
            raise KilledError

    async def send(self, *arguments: Any) -> WebhookAnswer:
        self.reach("send before")
        answer = await super().send(*arguments)
        self.reach("send after")
        return answer

    async def live(self, *subjects: str, days: int = 1) -> None:
        """Do everything that is due in some days after an event of each subject, with one death at most."""
        for subject in subjects:
            self.happen(subject)
        end = self.clock.now() + days * DAY
        try:
            await self.work_until(end)
        except KilledError:
            self.die()
            self.clock.move(LEASE)
            await self.work_until(end)


def failing_once() -> Callable[[FeedEvent], WebhookAnswer]:
    tried: set[tuple[str, int]] = set()

    def answer(event: FeedEvent) -> WebhookAnswer:
        first = event.key not in tried
        tried.add(event.key)
        return BAD if first and event.subject == "a" else OK

    return answer


@pytest.mark.event_bar(2)
async def test_a_death_at_any_step_loses_no_event() -> None:
    whole = KilledDelivery()
    whole.answer = failing_once()
    await whole.live(*"aabacb")
    assert len(whole.steps) > 40
    assert len(whole.delivered) == 6
    for place, step in enumerate(whole.steps):
        world = KilledDelivery(place)
        world.answer = failing_once()
        await world.live(*"aabacb")
        assert len({event_id(event) for event in world.delivered}) == 6, step
        in_order(world.delivered)
        assert world.progress.waiting == (), step
        # Only what was sent since the last save is sent again.
        assert len(world.delivered) <= 12, step


@pytest.mark.parametrize("gone", [True, False])
async def test_a_death_at_any_step_of_disabling_repeats_it(gone: bool) -> None:
    answer = WebhookAnswer(410) if gone else BAD
    reason = DisabledReason.GONE if gone else DisabledReason.FAILING
    whole = KilledDelivery()
    whole.answer = lambda _: answer
    await whole.live("a", days=6)
    for place in range(len(whole.steps)):
        world = KilledDelivery(place)
        world.answer = lambda _: answer
        await world.live("a", days=6)
        assert world.store.endpoints[HOOK.id].webhook.disabled is reason
        assert {(event.type, event.revision) for event in world.store.added} == {(EventType.WEBHOOK_DISABLED, 2)}
