"""Webhooks are stored whole, saved by compare-and-set, and leased to one holder."""

from dataclasses import replace

from recordings.model.feed_event import EventCursor, EventInclude, EventPosition, EventType, FeedEvent
from recordings.model.query import (
    EVERYTHING,
    And,
    Equal,
    HasMedia,
    HasMetadata,
    Held,
    In,
    Not,
    Or,
    Prefix,
    Range,
)
from recordings.model.webhook import (
    MAX_ATTEMPTS_KEPT,
    DisabledReason,
    HttpVerb,
    Replay,
    WaitingEvent,
    Webhook,
    WebhookAttempt,
    WebhookFormat,
    WebhookProgress,
    start_of,
)
from recordings.ports.recording_store import MetadataStore
from recordings.ports.webhook_store import WebhookClaim

ONE = Webhook(id="1" * 32, account_id="a", url="https://example.org/", created=5, modified=5)
FULL = Webhook(
    id="2" * 32,
    account_id="a",
    url="https://example.org/x?y=z",
    name="Zoë",
    types=frozenset({EventType.STORED, EventType.LOST}),
    where=And(
        (
            Equal("label", "a"),
            Equal("label", None),
            Or((In("state", ("STORED", "FAILED")), Prefix("call_id", "x"))),
            Not(Range("duration_ms", 5, None)),
            HasMedia(present=False),
            Held(),
            HasMetadata("k.$x", 1.5),
        )
    ),
    filter='{"label": {}}',
    include=frozenset({EventInclude.PARTIES}),
    format=WebhookFormat.KAZOO,
    verb=HttpVerb.PUT,
    descendants=True,
    kazoo={"format": "json", "retries": 3},
    custom_data={"a.$b": {"c": [1, None, "x"]}},
    overlap=7,
    old_secret_until=9,
    disabled=DisabledReason.GONE,
    disabled_at=11,
    disabled_detail="410",
    created=4,
    modified=12,
    revision=1,
)
EVENT = FeedEvent(
    account_id="a",
    subject="202611-00",
    revision=3,
    type=EventType.STORED,
    time=1,
    stamp=2,
    state="STORED",
    duration_ms=9,
)
PROGRESS = WebhookProgress(webhook_id=ONE.id, cursor=start_of(1))
BUSY = WebhookProgress(
    webhook_id=FULL.id,
    cursor=EventCursor(EventPosition(7, "s", 2), ("aa", "bb")),
    replay=Replay(since=1, until=3, types=frozenset({EventType.STORED}), resume=start_of(6)),
    waiting=(WaitingEvent(EVENT, 2, 100),),
    failures=3,
    failing_since=50,
    pause_until=60,
    given_up=1,
    given_up_since=2,
    sent=17,
    last_success=3,
    due_at=100,
    holder="n",
    revision=4,
)
CLAIM = WebhookClaim(now=100, until=200, holder="node", limit=9)


def attempt(number: int) -> WebhookAttempt:
    return WebhookAttempt(
        number=number,
        event_id="evt_1",
        type=EventType.STORED,
        subject="202611-00",
        attempt=1,
        at=number,
        duration_ms=4,
        succeeded=False,
        status=500,
        answer="no",
        headers={"x": "y"},
    )


async def test_a_webhook_is_stored_and_found(store: MetadataStore) -> None:
    await store.insert_webhook(ONE, PROGRESS)
    await store.insert_webhook(FULL, BUSY)
    found = await store.webhook(FULL.id)
    assert found is not None
    assert (found.webhook, found.progress) == (FULL, BUSY)
    first = await store.webhook(ONE.id)
    assert first is not None
    assert first.webhook.where is EVERYTHING
    assert [each.webhook.id for each in await store.webhooks("a", 9)] == [FULL.id, ONE.id]
    assert [each.webhook.id for each in await store.webhooks("a", 1)] == [FULL.id]
    assert await store.webhooks("b", 9) == []
    assert await store.webhook("3" * 32) is None


async def test_only_enabled_webhooks_are_looked_for(store: MetadataStore) -> None:
    await store.insert_webhook(ONE, PROGRESS)
    await store.insert_webhook(FULL, BUSY)
    await store.insert_webhook(replace(ONE, id="0" * 32, account_id="b"), replace(PROGRESS, webhook_id="0" * 32))
    assert await store.enabled_webhooks(["a", "c"]) == [ONE]
    assert len(await store.enabled_webhooks(["a", "b"])) == 2
    assert [each.webhook.id for each in await store.all_enabled_webhooks("", 9)] == ["0" * 32, ONE.id]
    assert [each.webhook.id for each in await store.all_enabled_webhooks("0" * 32, 1)] == [ONE.id]


async def test_settings_and_progress_are_saved_separately(store: MetadataStore) -> None:
    await store.insert_webhook(ONE, PROGRESS)
    changed = replace(ONE, url="https://example.org/new", disabled=DisabledReason.BY_CLIENT, revision=2)
    moved = replace(PROGRESS, cursor=start_of(9), sent=1, revision=2)
    assert await store.save_webhook(changed)
    assert not await store.save_webhook(changed)
    assert await store.save_progress(moved)
    assert not await store.save_progress(moved)
    found = await store.webhook(ONE.id)
    assert found is not None
    assert (found.webhook, found.progress) == (changed, moved)
    assert await store.enabled_webhooks(["a"]) == []


async def test_the_last_attempts_are_kept(store: MetadataStore) -> None:
    await store.insert_webhook(ONE, PROGRESS)
    assert await store.save_progress(replace(PROGRESS, revision=2), [attempt(0), attempt(1)])
    assert not await store.save_progress(replace(PROGRESS, revision=2), [attempt(2)])
    assert await store.webhook_attempts(ONE.id, 9) == [attempt(1), attempt(0)]
    many = [attempt(number) for number in range(2, MAX_ATTEMPTS_KEPT + 5)]
    assert await store.save_progress(replace(PROGRESS, revision=3), many)
    found = await store.webhook_attempts(ONE.id, 1_000)
    assert [each.number for each in found] == list(range(MAX_ATTEMPTS_KEPT + 4, 4, -1))
    assert len(await store.webhook_attempts(ONE.id, 3)) == 3


async def test_a_deleted_webhook_is_gone_with_its_attempts(store: MetadataStore) -> None:
    await store.insert_webhook(ONE, PROGRESS)
    await store.save_progress(replace(PROGRESS, revision=2), [attempt(0)])
    assert await store.delete_webhook(ONE.id)
    assert not await store.delete_webhook(ONE.id)
    assert await store.webhook(ONE.id) is None
    assert await store.webhook_attempts(ONE.id, 9) == []
    assert not await store.save_progress(replace(PROGRESS, revision=3), [attempt(1)])


async def test_a_due_webhook_is_leased_once(store: MetadataStore) -> None:
    await store.insert_webhook(ONE, replace(PROGRESS, due_at=90))
    await store.insert_webhook(replace(ONE, id="4" * 32), replace(PROGRESS, webhook_id="4" * 32, due_at=80))
    await store.insert_webhook(replace(ONE, id="5" * 32), replace(PROGRESS, webhook_id="5" * 32, due_at=101))
    await store.insert_webhook(replace(ONE, id="6" * 32), replace(PROGRESS, webhook_id="6" * 32))
    await store.insert_webhook(FULL, BUSY)
    first = await store.claim_webhooks(replace(CLAIM, limit=1))
    assert [(each.webhook.id, each.progress.holder, each.progress.due_at) for each in first] == [
        ("4" * 32, "node", 200)
    ]
    assert first[0].progress.revision == 2
    assert [each.webhook.id for each in await store.claim_webhooks(CLAIM)] == [ONE.id]
    assert await store.claim_webhooks(CLAIM) == []
    # The holder died.
    later = await store.claim_webhooks(replace(CLAIM, now=200, until=300, holder="other"))
    assert {each.webhook.id for each in later} == {ONE.id, "4" * 32, "5" * 32}
    assert not await store.save_progress(replace(first[0].progress, revision=3))


async def test_a_webhook_that_no_server_works_on_is_leased_by_its_id(store: MetadataStore) -> None:
    await store.insert_webhook(ONE, PROGRESS)
    await store.insert_webhook(FULL, replace(BUSY, holder=""))
    rung = replace(CLAIM, ids=[ONE.id, FULL.id, "9" * 32])
    claimed = await store.claim_webhooks(rung)
    assert [each.webhook.id for each in claimed] == [ONE.id]
    assert await store.claim_webhooks(rung) == []
    released = replace(claimed[0].progress, holder="", due_at=None, revision=claimed[0].progress.revision + 1)
    assert await store.save_progress(released)
    assert len(await store.claim_webhooks(rung)) == 1
    assert len(await store.claim_webhooks(replace(rung, now=200))) == 1


async def test_a_webhook_is_added_once(store: MetadataStore) -> None:
    assert await store.insert_webhook(ONE, PROGRESS)
    assert not await store.insert_webhook(replace(ONE, url="https://example.org/other"), PROGRESS)
    found = await store.webhook(ONE.id)
    assert found is not None
    assert found.webhook == ONE


async def test_the_leases_of_a_restarted_server_end(store: MetadataStore) -> None:
    for place, holder in enumerate(("n.1-a", "n.1-b", "n.1", "n.10-a", "nx1-a", "")):
        identity = f"{place:032x}"
        due_at = 500 if holder else None
        progress = replace(PROGRESS, webhook_id=identity, holder=holder, due_at=due_at)
        await store.insert_webhook(replace(ONE, id=identity), progress)
    assert await store.release_webhooks("n.1-", 100) == 2
    claimed = await store.claim_webhooks(CLAIM)
    assert [(each.webhook.id[-1], each.progress.revision) for each in claimed] == [("0", 3), ("1", 3)]
