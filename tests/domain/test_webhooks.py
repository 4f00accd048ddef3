"""Webhooks are created, changed, tested and replayed by the rules."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from recordings.model.account import Account, Scope
from recordings.model.errors import Conflict, IdempotencyKeyReused, InvalidInput, InvalidState, NotFound
from recordings.model.feed_event import EventInclude, EventType
from recordings.model.instants import DAY, HOUR
from recordings.model.webhook import MAX_WEBHOOKS, DisabledReason, HttpVerb, WebhookAnswer, WebhookFormat, start_of
from recordings.rules.kazoo_webhook import types_of
from recordings.use_cases.webhooks import Webhooks
from tests.support.fake_clock import FakeClock
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, principal
from tests.support.memory_store import MemoryStore
from tests.support.webhook_parts import ScriptedReceiver, webhooks_on

ADMIN = principal(ACCOUNT, Scope.ADMIN)
URL = {"url": "https://example.org/hook"}
KAZOO = {**URL, "format": "KAZOO"}


class Opened:
    """The use cases and their parts."""

    def __init__(self) -> None:
        self.store, self.clock, self.audit = MemoryStore(), FakeClock(), MemoryAudit()
        self.store.known = {ACCOUNT: Account(ACCOUNT, "name", 0)}
        self.receiver, self.rung = ScriptedReceiver(), list[str]()
        self.use_cases: Webhooks = webhooks_on(self.store, self.clock, self.audit, self.receiver, self.rung.append)


@pytest.fixture
def opened() -> Opened:
    return Opened()


async def test_a_new_webhook_gets_the_events_from_now_on(opened: Opened) -> None:
    made = await opened.use_cases.create(ADMIN, {**URL, "types": ["recording.stored"], "include": ["PARTIES"]})
    webhook, progress = made.endpoint.webhook, made.endpoint.progress
    assert webhook.types == frozenset({EventType.STORED})
    assert webhook.include == {EventInclude.PARTIES}
    assert (webhook.format, webhook.verb, webhook.enabled, webhook.revision) == ("STANDARD", "POST", True, 1)
    assert progress.cursor == start_of(await opened.store.watermark())
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert opened.rung == [webhook.id]
    assert [found.webhook for found in await opened.use_cases.of_account(ADMIN)] == [webhook]
    assert opened.audit.entries == [("secret", f"webhook/{webhook.id}"), ("webhook", webhook.id)]


async def test_all_types_are_those_that_a_receiver_expects(opened: Opened) -> None:
    webhook = (await opened.use_cases.create(ADMIN, URL)).endpoint.webhook
    assert webhook.wanted == set(EventType) - {EventType.ACCESSED, EventType.WEBHOOK_TEST}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "url must be an absolute http or https URL of at most 2048 characters, not ''"),
        ({"url": "ftp://example.org"}, "url must be an absolute http or https URL"),
        ({"url": "https://example.org/a b"}, "url must be an absolute http or https URL"),
        ({"url": "https://internal.example/"}, r"url must be an allowed URL \(the host is private\)"),
        (
            {**URL, "types": ["recording.gone"]},
            "types must be one of policy.changed, recording.accessed, .*'recording.go",
        ),
        ({**URL, "types": []}, "types must be at least one type, or null for all"),
        ({**URL, "include": ["AUDIO"]}, "include must be one of PARTIES, METADATA, not 'AUDIO'"),
        ({**URL, "format": "XML"}, "format must be one of STANDARD, CLOUDEVENTS_BINARY, CLOUDEVENTS_STRUCTURED, KAZOO"),
        ({**URL, "verb": "GET"}, "kazoo must be left out with this format, not 'STANDARD'"),
        ({**URL, "verb": "DELETE", "format": "KAZOO"}, "verb must be one of GET, POST, PUT"),
        ({**URL, "overlap": 8 * DAY}, "secret_overlap_seconds must be an integer from 0 to 604800, not 691200"),
        ({**URL, "custom_data": {"a": "x"}}, "kazoo must be left out with this format"),
        ({**KAZOO, "custom_data": {"a": "x" * 5_000}}, "kazoo.custom_data must be at most 4096 bytes as JSON"),
        ({**KAZOO, "custom_data": {"a": 1}}, "kazoo.custom_data must be an object of texts"),
        ({**KAZOO, "custom_data": ["a"]}, "kazoo.custom_data must be an object of texts"),
        ({**KAZOO, "types": ["recording.failed"]}, "types must be types that Kazoo knows: recording.amended, "),
        ({**URL, "name": "a\nb"}, "name must be at most 128 printable characters"),
        ({**URL, "secret": "x"}, "secret must be one of custom_data, descendants, enabled"),
    ],
)
async def test_a_wrong_value_is_named(opened: Opened, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        await opened.use_cases.create(ADMIN, values)
    assert opened.store.endpoints == {}
    assert opened.store.secrets == {}


async def test_a_wrong_secret_is_not_shown(opened: Opened) -> None:
    with pytest.raises(InvalidInput, match="secret must be whsec_ and 24 to 64 bytes in base64, not '5 characters'"):
        await opened.use_cases.create(ADMIN, URL, secret="hello")
    assert opened.store.endpoints == {}


async def test_an_account_has_a_limited_number_of_webhooks(opened: Opened) -> None:
    for _ in range(MAX_WEBHOOKS):
        await opened.use_cases.create(ADMIN, URL)
    with pytest.raises(InvalidInput, match="accountId must be one of 100 webhooks at most"):
        await opened.use_cases.create(ADMIN, URL)


async def test_only_given_values_change(opened: Opened) -> None:
    made = (await opened.use_cases.create(ADMIN, {**URL, "format": "KAZOO", "verb": "PUT"})).endpoint.webhook
    changed = (await opened.use_cases.update(ADMIN, made.id, {"name": "one", "types": None}, revision=1)).webhook
    assert (changed.format, changed.verb) == (WebhookFormat.KAZOO, HttpVerb.PUT)
    assert changed == replace(made, name="one", revision=2, modified=changed.modified)
    with pytest.raises(Conflict, match="has the revision 2, not 1"):
        await opened.use_cases.update(ADMIN, made.id, {"name": "two"}, revision=1)


async def test_a_disabled_webhook_continues_when_it_is_enabled(opened: Opened) -> None:
    made = (await opened.use_cases.create(ADMIN, URL)).endpoint
    disabled = (await opened.use_cases.update(ADMIN, made.webhook.id, {"enabled": False})).webhook
    assert (disabled.disabled, disabled.disabled_at) == (DisabledReason.BY_CLIENT, opened.clock.now())
    failing = replace(made.progress, failures=9, failing_since=1, pause_until=99, revision=3)
    assert await opened.store.save_progress(failing)
    enabled = await opened.use_cases.update(ADMIN, made.webhook.id, {"enabled": True})
    assert enabled.webhook.enabled
    assert enabled.progress == replace(made.progress, due_at=opened.clock.now(), revision=4)


async def test_a_test_sends_a_signed_event_and_notes_the_attempt(opened: Opened) -> None:
    made = await opened.use_cases.create(ADMIN, URL)
    identity = made.endpoint.webhook.id
    await opened.use_cases.update(ADMIN, identity, {"enabled": False})
    opened.receiver.answer = lambda _: WebhookAnswer(500, text="no", duration_ms=3)
    attempt = await opened.use_cases.test(ADMIN, identity)
    assert (attempt.status, attempt.answer, attempt.succeeded, attempt.type) == (500, "no", False, "webhook.test")
    assert await opened.use_cases.attempts(ADMIN, identity) == [attempt]
    (request,) = opened.receiver.requests
    assert (request.method, request.url) == ("POST", URL["url"])
    body = json.loads(request.body)
    assert (body["type"], body["data"]["id"]) == ("webhook.test", identity)
    assert request.headers["webhook-id"] == attempt.event_id


def verifies(secret: str | None, opened: Opened) -> bool:
    assert secret is not None
    request = opened.receiver.requests[-1]
    verifier = Verifier(secret)
    signature = verifier.sign(
        request.headers["webhook-id"], _time(request.headers["webhook-timestamp"]), request.body.decode()
    )
    return signature in request.headers["webhook-signature"].split()


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), UTC)


async def test_both_secrets_sign_for_a_while_after_a_rotation(opened: Opened) -> None:
    made = await opened.use_cases.create(ADMIN, URL)
    identity = made.endpoint.webhook.id
    rotated = await opened.use_cases.rotate_secret(ADMIN, identity, overlap=HOUR)
    await opened.use_cases.test(ADMIN, identity)
    assert (verifies(made.secret, opened), verifies(rotated.secret, opened)) == (True, True)
    opened.clock.move(HOUR)
    await opened.use_cases.test(ADMIN, identity)
    assert (verifies(made.secret, opened), verifies(rotated.secret, opened)) == (False, True)


async def test_a_replay_moves_the_cursor_back(opened: Opened) -> None:
    made = (await opened.use_cases.create(ADMIN, URL)).endpoint
    identity = made.webhook.id
    found = await opened.use_cases.replay(ADMIN, identity, 5, 9, ["recording.stored"])
    assert found.progress.cursor == start_of(5)
    replay = found.progress.replay
    assert replay is not None
    assert (replay.since, replay.until, replay.types) == (5, 9, frozenset({EventType.STORED}))
    assert replay.resume == made.progress.cursor
    with pytest.raises(InvalidState, match=r"a replay from 1970-01-01T00:00:00.005Z to .* is running"):
        await opened.use_cases.replay(ADMIN, identity, 5)


@pytest.mark.parametrize(("since", "until"), [(9, 9), (-1, 5), (10**15, None)])
async def test_a_replay_needs_a_period(opened: Opened, since: int, until: int | None) -> None:
    identity = (await opened.use_cases.create(ADMIN, URL)).endpoint.webhook.id
    with pytest.raises(InvalidInput, match="since must be a time before"):
        await opened.use_cases.replay(ADMIN, identity, since, until)


async def test_a_replay_has_only_types_of_the_webhook(opened: Opened) -> None:
    identity = (await opened.use_cases.create(ADMIN, {**URL, "types": ["recording.stored"]})).endpoint.webhook.id
    with pytest.raises(InvalidInput, match=r"types must be one of recording\.stored, not 'recording\.lost'"):
        await opened.use_cases.replay(ADMIN, identity, 1, types=["recording.lost"])


async def test_a_disabled_webhook_has_no_replay(opened: Opened) -> None:
    identity = (await opened.use_cases.create(ADMIN, {**URL, "enabled": False})).endpoint.webhook.id
    with pytest.raises(InvalidState, match="is disabled: enable it first"):
        await opened.use_cases.replay(ADMIN, identity, 1)


async def test_a_deleted_webhook_is_gone_with_its_secret(opened: Opened) -> None:
    identity = (await opened.use_cases.create(ADMIN, URL)).endpoint.webhook.id
    await opened.use_cases.delete(ADMIN, identity)
    assert opened.store.secrets == {(ACCOUNT, f"webhook/{identity}"): ()}
    with pytest.raises(NotFound):
        await opened.use_cases.find(ADMIN, identity)


async def test_the_other_settings_of_kazoo_go_with_its_format(opened: Opened) -> None:
    kazoo = {**KAZOO, "verb": "PUT", "custom_data": {"a": "b"}, "kazoo": {"format": "json"}}
    created = (await opened.use_cases.create(ADMIN, kazoo)).endpoint.webhook
    assert (created.verb, created.types) == (HttpVerb.PUT, types_of(None))
    changed = (await opened.use_cases.update(ADMIN, created.id, {"format": "STANDARD"})).webhook
    assert (changed.verb, changed.custom_data, changed.kazoo) == (HttpVerb.POST, {}, {})


async def test_a_rotation_with_a_wrong_secret_changes_nothing(opened: Opened) -> None:
    created = await opened.use_cases.create(ADMIN, URL)
    before = dict(opened.store.endpoints), dict(opened.store.secrets)
    with pytest.raises(InvalidInput, match="secret must be whsec_"):
        await opened.use_cases.rotate_secret(ADMIN, created.endpoint.webhook.id, "wrong")
    assert (opened.store.endpoints, opened.store.secrets) == before


async def test_public_keys_follow_a_rotation(opened: Opened) -> None:
    created = await opened.use_cases.create(ADMIN, URL)
    webhook_id = created.endpoint.webhook.id
    (first,) = await opened.use_cases.public_keys(ADMIN, webhook_id)
    await opened.use_cases.rotate_secret(ADMIN, webhook_id)
    second, former = await opened.use_cases.public_keys(ADMIN, webhook_id)
    assert former == first != second
    await opened.use_cases.rotate_secret(ADMIN, webhook_id, overlap=0)
    assert first not in await opened.use_cases.public_keys(ADMIN, webhook_id)


async def test_another_url_is_tried_at_once(opened: Opened) -> None:
    made = (await opened.use_cases.create(ADMIN, URL)).endpoint
    now = opened.clock.now()
    paused = replace(made.progress, pause_until=now + DAY, failing_since=now, failures=9, revision=2)
    assert await opened.store.save_progress(paused)
    found = await opened.use_cases.update(ADMIN, made.webhook.id, {"name": "x"})
    assert found.progress.pause_until == now + DAY
    found = await opened.use_cases.update(ADMIN, made.webhook.id, {"url": "https://example.net/"})
    assert (found.progress.pause_until, found.progress.failing_since, found.progress.failures) == (0, None, 0)


async def test_a_rotation_ends_the_lease_of_a_server_that_signs_with_the_former_settings(opened: Opened) -> None:
    made = (await opened.use_cases.create(ADMIN, URL)).endpoint
    assert await opened.store.save_progress(replace(made.progress, holder="node", revision=2))
    opened.rung.clear()
    rotated = await opened.use_cases.rotate_secret(ADMIN, made.webhook.id)
    assert (rotated.endpoint.progress.holder, opened.rung) == ("", [made.webhook.id])


async def test_a_replay_of_a_part_keeps_the_number_of_events_that_were_given_up(opened: Opened) -> None:
    made = (await opened.use_cases.create(ADMIN, URL)).endpoint
    assert await opened.store.save_progress(replace(made.progress, given_up=3, given_up_since=7, revision=2))
    found = await opened.use_cases.replay(ADMIN, made.webhook.id, 8)
    assert (found.progress.given_up, found.progress.given_up_since) == (3, 7)
    assert await opened.store.save_progress(replace(found.progress, replay=None, revision=4))
    found = await opened.use_cases.replay(ADMIN, made.webhook.id, 7)
    assert (found.progress.given_up, found.progress.given_up_since) == (0, None)


class CrashError(Exception):
    """The process dies."""


async def test_a_crash_at_any_write_of_a_rotation_leaves_the_former_signature_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes = ("save_webhook", "save_progress", "save_account_secret")
    for crash_at in range(6):
        opened = Opened()
        made = await opened.use_cases.create(ADMIN, URL)
        identity = made.endpoint.webhook.id
        current = await opened.use_cases.rotate_secret(ADMIN, identity, overlap=HOUR)
        opened.clock.move(HOUR)
        left = iter([None] * crash_at)

        def crashing(store: MemoryStore, name: str, left: Any = left) -> Any:
            write = getattr(store, name)

            async def crash(*args: Any) -> Any:
                if next(left, CrashError) is CrashError:
                    raise CrashError
                return await write(*args)

            return crash

        with monkeypatch.context() as patch:
            for name in writes:
                patch.setattr(opened.store, name, crashing(opened.store, name))
            try:
                rotated = await opened.use_cases.rotate_secret(ADMIN, identity, overlap=DAY)
            except CrashError:
                rotated = None
        await opened.use_cases.test(ADMIN, identity)
        # The secret before the former one has ended, and must never sign again.
        assert (verifies(made.secret, opened), verifies(current.secret, opened)) == (False, True), crash_at
        if rotated is not None:
            assert verifies(rotated.secret, opened)
            break
    assert crash_at == 4


async def test_a_repeated_rotation_to_the_same_secret_changes_nothing(opened: Opened) -> None:
    made = await opened.use_cases.create(ADMIN, URL)
    secret = "whsec_" + "A" * 32
    for _ in range(2):
        await opened.use_cases.rotate_secret(ADMIN, made.endpoint.webhook.id, secret)
    await opened.use_cases.test(ADMIN, made.endpoint.webhook.id)
    assert (verifies(made.secret, opened), verifies(secret, opened)) == (True, True)


async def test_a_webhook_without_a_secret_sends_nothing_and_says_so(opened: Opened) -> None:
    identity = (await opened.use_cases.create(ADMIN, URL)).endpoint.webhook.id
    opened.store.secrets.clear()
    attempt = await opened.use_cases.test(ADMIN, identity)
    assert (attempt.succeeded, attempt.status) == (False, None)
    assert attempt.error == "the webhook has no secret, so nothing was sent: rotate its secret"
    assert opened.receiver.requests == []
    rotated = await opened.use_cases.rotate_secret(ADMIN, identity)
    assert (await opened.use_cases.test(ADMIN, identity)).succeeded
    assert verifies(rotated.secret, opened)


@pytest.mark.parametrize("secret", [None, "whsec_" + "A" * 32])
async def test_a_repeated_creation_returns_the_same_webhook(opened: Opened, secret: str | None) -> None:
    made = await opened.use_cases.create(ADMIN, URL, secret=secret, key="k")
    again = await opened.use_cases.create(ADMIN, URL, secret=secret, key="k")
    assert (again.endpoint, again.secret) == (made.endpoint, made.secret)
    assert len(await opened.use_cases.of_account(ADMIN)) == 1
    for values, other in ((KAZOO, secret), (URL, "whsec_" + "B" * 32)):
        with pytest.raises(IdempotencyKeyReused, match="was used for another webhook"):
            await opened.use_cases.create(ADMIN, values, secret=other, key="k")
    await opened.use_cases.rotate_secret(ADMIN, made.endpoint.webhook.id)
    again = await opened.use_cases.create(ADMIN, URL, secret=secret, key="k")
    assert (again.endpoint.webhook.id, again.secret) == (made.endpoint.webhook.id, None)
    other_key = await opened.use_cases.create(ADMIN, URL, key="l")
    assert other_key.endpoint.webhook.id != made.endpoint.webhook.id


async def test_two_creations_at_once_with_one_key_return_the_same_secret(opened: Opened) -> None:
    made = await opened.use_cases.create(ADMIN, URL, key="k")
    # The other request found no webhook yet, because this one had not inserted it.
    found, opened.store.webhook = opened.store.webhook, _none_once(opened.store)  # type: ignore[method-assign]
    again = await opened.use_cases.create(ADMIN, URL, key="k")
    opened.store.webhook = found  # type: ignore[method-assign]
    assert (again.endpoint, again.secret) == (made.endpoint, made.secret)


def _none_once(store: MemoryStore) -> Any:
    found, answers = store.webhook, iter([None])

    async def webhook(webhook_id: str) -> Any:
        return next(answers, await found(webhook_id))

    return webhook


@pytest.mark.parametrize("key", ["", "x" * 129, "a\n"])
async def test_a_key_must_be_printable(opened: Opened, key: str) -> None:
    with pytest.raises(InvalidInput, match="idempotencyKey"):
        await opened.use_cases.create(ADMIN, URL, key=key)
