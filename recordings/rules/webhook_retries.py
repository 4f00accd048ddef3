"""When a failed event of a webhook is sent again, and what a response means.

The waits are those of Standard Webhooks 1.0, with jitter: events that failed together do not retry together.
"""

import random
from enum import Enum, auto
from typing import Final

from recordings.model.instants import DAY, HOUR, MINUTE, SECOND, Millis
from recordings.model.webhook import Webhook, WebhookAnswer, WebhookProgress

WAITS: Final = (
    5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
"""The wait after each failed attempt."""
MAX_ATTEMPTS: Final = len(WAITS) + 1
"""Attempts of one event. After the last one, it is given up, and only a replay sends it again."""
JITTER: Final = 0.2
LONGEST_WAIT: Final[Millis] = 24 * HOUR
DISABLED_AFTER: Final[Millis] = 5 * DAY
"""A webhook is disabled after only failures for this time."""
TRIED_FOR: Final[Millis] = 2 * DAY
"""The attempts must have failed for at least this time. A service that is stopped makes none."""
KNOWN_AFTER: Final[Millis] = 10 * SECOND
"""After this time, every server knows a change of a webhook, and looks for its new events."""
DOWN_AFTER: Final = 8
"""After so many failures without a success between them, the receiver is down: it gets one attempt at a time."""
_GONE: Final = 410
_THROTTLING: Final = frozenset({429, 502, 503, 504})


class Verdict(Enum):
    """The meaning of a response."""

    DELIVERED = auto()
    FAILED = auto()
    """This event failed. Others may succeed."""
    THROTTLED = auto()
    """The receiver cannot take requests now, so that it gets no other event either."""
    GONE = auto()
    """The receiver wants no more events."""


def verdict_of(answer: WebhookAnswer) -> Verdict:
    """Return the meaning of a response. Only a whole one with 200 to 299 is success: a redirect is a failure."""
    if answer.status == _GONE:
        return Verdict.GONE
    if answer.status is None or answer.error:
        return Verdict.FAILED if answer.retry_after is None else Verdict.THROTTLED
    if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of success
        return Verdict.DELIVERED
    is_throttled = answer.status in _THROTTLING or answer.retry_after is not None
    return Verdict.THROTTLED if is_throttled else Verdict.FAILED


def wait_after(attempts: int, retry_after: Millis | None = None) -> Millis | None:
    """Return the wait after a number of failed `attempts` (1 or more), or `None` if the event is given up.

    `retry_after` is the receiver's own wait. A longer wait of the schedule replaces it.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    return max(_with_jitter(WAITS[attempts - 1]), min(retry_after or 0, LONGEST_WAIT))


def pause_after(pauses: int, retry_after: Millis | None = None) -> Millis:
    """Return the length of the next pause of a receiver, after a number of pauses in sequence (0 or more)."""
    return max(_with_jitter(WAITS[min(pauses, len(WAITS) - 1)]), min(retry_after or 0, LONGEST_WAIT))


def disabled_from(webhook: Webhook, progress: WebhookProgress) -> Millis | None:
    """Return when a webhook is disabled, unless an attempt succeeds or a client changes it. `None`: not yet known."""
    since, last = progress.failing_since, progress.last_failure
    if since is None or last is None or last - since < TRIED_FOR:
        return None
    return max(since, webhook.modified) + DISABLED_AFTER


def next_look(webhook: Webhook, due_at: Millis | None, now: Millis) -> Millis | None:
    """Return when a server must look at a webhook that is due at `due_at`.

    Until all servers know a change of the webhook, they may miss an event for it.
    """
    known = webhook.modified + KNOWN_AFTER
    return due_at if now >= known else min(known, known if due_at is None else due_at)


def _with_jitter(wait: Millis) -> Millis:
    return round(wait * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - it spreads load and needs no secure randomness
