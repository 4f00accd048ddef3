"""Servers deliver webhooks to real receivers: bad ones, many at once, shared work, and the bell."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.delivery import HttpWebhookSender
from adapters.delivery.webhook_sender import MAX_BODY
from adapters.identity import ed25519
from adapters.metadata.sqlite import SqliteStore
from adapters.net import Guard
from graph.server import webhook_work
from graph.server.event_hub import EventHub
from graph.server.webhook_bell import WebhookBell
from graph.server.webhook_work import FAILING_SLOTS, SLOTS, WebhookWork
from graph.server.work_log import WebhookLog
from recordings.model.account import Account, Scope
from recordings.model.events import Annotated, Created
from recordings.model.feed_event import BEGINNING, EventType
from recordings.model.ids import new_id
from recordings.model.instants import HOUR
from recordings.model.recording import Recording
from recordings.model.webhook import DisabledReason, Webhook, WebhookAttempt, WebhookProgress, start_of
from recordings.ports.webhook_store import Endpoint, WebhookClaim
from recordings.rules.webhook_signature import new_secret_pair
from recordings.use_cases.account_secrets import AccountSecrets
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.webhook_attempt import WebhookRequests
from recordings.use_cases.webhook_run import LEASE, RENEW
from recordings.use_cases.webhook_secrets import WebhookSecrets
from recordings.use_cases.webhooks import Webhooks
from tests.contract.metadata.samples import NOW, recording
from tests.support.fake_clock import FakeClock
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, principal
from tests.support.webhook_parts import BASE_URL, installation, sealer
from tests.support.webhook_receiver import Receiver, open_receiver

ADMIN = principal(ACCOUNT, Scope.ADMIN)


class Server:
    """One server of an installation, with its store, its sender and its clock."""

    def __init__(self, store: SqliteStore, clock: FakeClock, seconds: float, slots: tuple[int, int]) -> None:
        self.store, self.clock = store, clock
        self.hub = EventHub(store)
        self.sender = HttpWebhookSender(Guard(private=["127.0.0.1"]), seconds)
        audit = MemoryAudit()
        secrets = WebhookSecrets(AccountSecrets(store, sealer(), audit), clock, ed25519)
        requests = WebhookRequests(self.sender, secrets, clock, BASE_URL, installation)
        self.work = WebhookWork(
            store=store,
            live=self.hub,
            requests=requests,
            clock=clock,
            reporter=WebhookLog(),
            node="n",
            linger=0.0,
            slots=slots,
        )
        self.bell = WebhookBell(store, self.hub, self.work.ring_for_event)
        self.webhooks = Webhooks(
            store=store,
            secrets=secrets,
            requests=requests,
            clock=clock,
            audit=audit,
            check_url=self.sender.problem_of,
            ring=self.work.ring,
        )

    async def create(self, url: str, account_id: str = ACCOUNT, **values: Any) -> Webhook:
        """Create a webhook that all servers have found."""
        caller = principal(account_id, Scope.ADMIN)
        made = await self.webhooks.create(caller, {"url": url, **values}, account_id)
        return made.endpoint.webhook

    async def attempts(self, webhook: Webhook) -> list[WebhookAttempt]:
        return list(await self.store.webhook_attempts(webhook.id, 100))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work in the background."""
        tasks = [asyncio.create_task(self.work.run()), asyncio.create_task(self.bell.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        await self.hub.stop()
        await self.sender.close()


class World:
    """A store, a receiver, and the servers."""

    def __init__(self, store: SqliteStore, receiver: Receiver) -> None:
        self.store, self.receiver, self.clock = store, receiver, FakeClock()
        self.writer = RecordingWriter(store)
        self.servers: list[Server] = []

    def server(self, seconds: float = 60.0, slots: tuple[int, int] = (SLOTS, FAILING_SLOTS)) -> Server:
        self.servers.append(Server(self.store, self.clock, seconds, slots))
        return self.servers[-1]

    async def insert(self, account_id: str, path: str) -> None:
        """Add a webhook that is due now."""
        url = self.receiver.url(path)
        webhook = Webhook(id=new_id(), account_id=account_id, url=url, created=NOW, modified=NOW)
        secrets = WebhookSecrets(AccountSecrets(self.store, sealer(), MemoryAudit()), self.clock, ed25519)
        await secrets.replace(ADMIN, webhook, new_secret_pair())
        await self.store.insert_webhook(webhook, WebhookProgress(webhook_id=webhook.id, cursor=start_of(0)))

    async def happen(self, account_id: str = ACCOUNT) -> Recording:
        return await self.writer.create(recording(account_id=account_id), Created(at=NOW))

    async def amend(self, item: Recording, label: str) -> Recording:
        return await self.writer.save_event(item, Annotated(at=NOW, changes={"label": label}))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(tmp_path)
    await store.open()
    for account in (Account(ACCOUNT, "a", 0), Account(CHILD, "c", 0, (ACCOUNT,)), Account(SIBLING, "s", 0)):
        await store.add_account(account)
    async with open_receiver() as receiver:
        world = World(store, receiver)
        yield world
        for server in world.servers:
            await server.close()
    await store.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition is about several parts
            await asyncio.sleep(0.005)


@pytest.mark.event_bar(6)
async def test_a_bad_receiver_has_one_failed_attempt(world: World) -> None:
    server = world.server(seconds=0.3)
    names = ("hang", "drip", "endless", "redirect", "broken", "fail", "busy")
    webhooks = {name: await server.create(world.receiver.url(name)) for name in names}
    good = await server.create(world.receiver.url("ok"))
    await world.happen()
    await server.work.settle()
    attempts = {name: await server.attempts(webhook) for name, webhook in webhooks.items()}
    shown = {name: [(each.status, each.error) for each in found] for name, found in attempts.items()}
    too_slow = "the connection to the server failed: timeout"
    assert shown == {
        "hang": [(None, too_slow)],
        "drip": [(200, too_slow)],
        "endless": [(200, f"the response has more than {MAX_BODY} bytes")],
        "redirect": [(302, "")],
        "broken": [(None, "the connection to the server failed: ServerDisconnectedError")],
        "fail": [(500, "")],
        "busy": [(429, "")],
    }
    assert not any(each.succeeded for found in attempts.values() for each in found)
    assert (attempts["fail"][0].answer, attempts["fail"][0].headers) == (
        "oops",
        {"content-length": "4", "server": "test"},
    )
    busy = await world.store.webhook(webhooks["busy"].id)
    assert busy is not None
    assert busy.progress.pause_until == world.clock.now() + 2 * HOUR
    (found,) = await server.attempts(good)
    assert (found.succeeded, found.status, found.answer, found.attempt) == (True, 200, "ok", 1)
    assert Counter(world.receiver.paths()) == Counter([*names, "ok"])


@pytest.mark.event_bar(6)
async def test_a_host_that_is_not_allowed_gets_no_request(world: World) -> None:
    server = world.server()
    webhook = await server.create(world.receiver.url("ok"))
    server.sender._guard = Guard()
    await world.happen()
    await server.work.settle()
    (attempt,) = await server.attempts(webhook)
    assert attempt.error == "the host '127.0.0.1' has no public address"
    assert world.receiver.received == []


async def test_a_receiver_that_is_gone_disables_its_webhook(world: World) -> None:
    server = world.server()
    webhook = await server.create(world.receiver.url("gone"))
    await world.happen()
    await world.happen()
    await server.work.settle()
    found = await server.webhooks.find(ADMIN, webhook.id)
    assert (found.webhook.disabled, found.webhook.disabled_detail) == (DisabledReason.GONE, "the receiver answered 410")
    events = await world.store.events([ACCOUNT], BEGINNING, None, 10)
    assert [event.type for event in events][-1] is EventType.WEBHOOK_DISABLED
    before = len(world.receiver.received)
    await world.happen()
    await server.work.settle()
    assert len(world.receiver.received) == before


@pytest.mark.event_bar(5)
async def test_hanging_receivers_do_not_affect_500_others(world: World) -> None:
    server = world.server(seconds=600.0, slots=(16, 4))
    accounts = [f"{number:032x}" for number in range(10)]
    for account_id in accounts:
        await world.store.add_account(Account(account_id, "x", 0))
    hanging = [(SIBLING, f"hang/{number}") for number in range(20)]
    others = [(account_id, f"ok/{account_id}/{number}") for account_id in accounts for number in range(50)]
    await asyncio.gather(*(world.insert(account_id, path) for account_id, path in (*hanging, *others)))
    await world.happen(SIBLING)
    for account_id in accounts:
        await world.happen(account_id)
    async with server.running():
        await until(lambda: world.receiver.paths().count("ok") == 500)
        # They hang all the time, and have a quarter of the slots.
        assert world.receiver.open == 4
    assert len({each.target for each in world.receiver.received if each.path == "ok"}) == 500


async def test_a_new_event_is_delivered_at_once_and_only_its_webhooks_have_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = world.server()
    for account_id, values in ((ACCOUNT, {"descendants": True}), (CHILD, {}), (SIBLING, {}), (ACCOUNT, {})):
        await server.create(world.receiver.url(f"ok/{account_id[0]}{'+' * len(values)}"), account_id, **values)
    await server.create(world.receiver.url("ok/lost"), CHILD, types=["recording.lost"])
    claims: list[WebhookClaim] = []
    claim = world.store.claim_webhooks

    async def counted(wanted: WebhookClaim) -> Sequence[Endpoint]:
        if wanted.ids is not None:
            claims.append(wanted)
        return await claim(wanted)

    async with server.running():
        await until(lambda: server.hub._begun.is_set() and not server.work._rung and not server.work.running)
        monkeypatch.setattr(world.store, "claim_webhooks", counted)
        await world.happen(CHILD)
        await until(lambda: len(world.receiver.received) == 2)
    assert {each.target for each in world.receiver.received} == {"/ok/a+", "/ok/c"}
    assert sum(len(each.ids or ()) for each in claims) == 2


async def test_the_events_of_a_recording_arrive_in_order_from_two_servers(world: World) -> None:
    first, second = world.server(), world.server()
    await first.create(world.receiver.url("ok"))
    async with first.running(), second.running():
        items = [await world.happen() for _ in range(5)]
        for number in range(20):
            items = [await world.amend(item, str(number)) for item in items]
        await until(lambda: len(world.receiver.received) >= 105)
    sent = [(each.event["data"]["id"], each.event["data"]["revision"]) for each in world.receiver.received]
    assert len(set(sent)) == 105
    for item in items:
        assert [revision for name, revision in sent if name == item.id] == list(range(21))


async def test_another_server_takes_over_from_a_dead_one(world: World) -> None:
    dead, server = world.server(), world.server()
    webhook = await server.create(world.receiver.url("ok"))
    await dead.work.settle()
    now = world.clock.now()
    await world.happen()
    claim = WebhookClaim(now=now, until=now + LEASE, holder="dead", limit=1, ids=[webhook.id])
    assert len(await world.store.claim_webhooks(claim)) == 1
    server.work.ring(webhook.id)
    await server.work.settle()
    assert world.receiver.received == []
    world.clock.move(LEASE)
    await server.work.settle()
    assert world.receiver.paths() == ["ok"]


@pytest.mark.event_bar(2)
async def test_a_killed_server_continues_at_once_when_it_starts_again(world: World) -> None:
    server = world.server()
    webhook = await server.create(world.receiver.url("ok"))
    other = await server.create(world.receiver.url("ok/other"))
    await server.work.settle()
    now = world.clock.now()
    await world.happen()
    for name, each in (("n-former", webhook), ("nn-another", other)):
        claim = WebhookClaim(now=now, until=now + LEASE, holder=name, limit=1, ids=[each.id])
        assert len(await world.store.claim_webhooks(claim)) == 1
    async with server.running():
        await until(lambda: "ok" in world.receiver.paths())
    assert world.receiver.paths() == ["ok"]


async def test_webhooks_that_always_have_events_do_not_keep_others_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_work, "MAX_RUNS", 2)
    monkeypatch.setattr(webhook_work, "TURN_SECONDS", 0.05)
    server = world.server()
    for number in range(5):
        await server.create(world.receiver.url(f"ok/{number}"))
    item = await world.happen()
    async with server.running():
        async with asyncio.timeout(20):
            while len({each.target for each in world.receiver.received}) < 5:
                item = await world.amend(item, str(item.revision))
                await asyncio.sleep(0.01)
        assert server.work.running <= 2


async def test_a_server_that_stops_ends_its_leases(world: World) -> None:
    server = world.server()
    webhook = await server.create(world.receiver.url("hang"))
    async with server.running():
        await world.happen()
        await until(lambda: world.receiver.open == 1)
    found = await server.webhooks.find(ADMIN, webhook.id)
    assert (found.progress.holder, found.progress.due_at, found.progress.sent) == ("", 0, 0)


async def test_a_change_of_the_url_takes_effect_at_once(world: World) -> None:
    server = world.server()
    webhook = await server.create(world.receiver.url("hang"))
    async with server.running():
        await world.happen()
        await until(lambda: world.receiver.open == 1)
        await server.webhooks.update(ADMIN, webhook.id, {"url": world.receiver.url("ok")})
        await until(lambda: "ok" in world.receiver.paths())
    one, two = world.receiver.received
    assert one.headers["webhook-id"] == two.headers["webhook-id"]


async def test_a_webhook_that_is_deleted_during_a_request_stays_deleted(world: World) -> None:
    server = world.server()
    webhook = await server.create(world.receiver.url("hang"))
    async with server.running():
        await world.happen()
        await until(lambda: world.receiver.open == 1)
        # As the deletion of its account does it, without a word to the server.
        await world.store.delete_webhook(webhook.id)
        world.clock.move(RENEW)
        server.work.ring(webhook.id)
        await until(lambda: server.work.running == 0)
    assert await world.store.webhook(webhook.id) is None
    assert await server.attempts(webhook) == []
