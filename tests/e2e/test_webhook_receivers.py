"""Receivers of webhooks get the events of a real server: those of the page, of CloudEvents' SDK, and of Kazoo."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

from graph.services import Services, open_services
from graph.settings import load
from recordings.model.events import Created
from recordings.use_cases.save_event import RecordingWriter
from tests.e2e.server import Client, Server, command, until
from tests.graph.api import recording
from tests.node.packages import installed_packages
from tests.servers.customer_server import Customer, ReceivedRequest
from tests.servers.free_ports import free_port
from tests.servers.server_process import die_with_parent

REPOSITORY: Final = Path(__file__).parents[2]
PAGE: Final = (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8")
CREATE: Final = """mutation($input: CreateWebhookInput!) { done: createWebhook(input: $input) {
  webhook { id publicKeys } secret errors { __typename ... on UserError { message } } } }"""
TEST: Final = """mutation($input: TestWebhookInput!) { done: testWebhook(input: $input) {
  attempt { succeeded status error } errors { __typename } } }"""
ROTATE: Final = """mutation($input: RotateWebhookSecretInput!) { done: rotateWebhookSecret(input: $input) {
  secret errors { __typename } } }"""


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may send to this machine."""
    with Server(tmp_path_factory.mktemp("webhooks") / "data", "--demo", "--private-hosts", "127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def client(sender: Server) -> Client:
    return sender.client(sender.shown_token())


@pytest.fixture
def customer() -> Iterator[Customer]:
    server = Customer()
    server.start()
    yield server
    server.stop()


def snippet(language: str) -> str:
    """Return the receiver of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def mutate(client: Client, document: str, **input: Any) -> Any:
    done = client.graphql(document, input=input)["done"]
    assert done["errors"] == []
    return done


class DocumentedReceiver:
    """A receiver of the page, in its own process, with a webhook for it."""

    def __init__(self, client: Client, folder: Path, words: list[str | Path]) -> None:
        self.client, self.port = client, free_port()
        url = f"http://127.0.0.1:{self.port}/in"
        done = mutate(client, CREATE, url=url, types=["STORED", "TRASHED"])
        self.id: str = done["webhook"]["id"]
        self.secret: str = done["secret"]
        self._log = folder / f"{self.port}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                words,
                env={**os.environ, "WEBHOOK_SECRET": self.secret, "PORT": str(self.port)},
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only makes one system call
            )

    def lines(self) -> list[str]:
        return [line for line in self._log.read_text().splitlines() if line.startswith(("recording.", "webhook."))]

    def test(self) -> Any:
        """Send a test event, and return the attempt."""
        return mutate(self.client, TEST, id=self.id)["attempt"]

    def wait_until_ready(self) -> None:
        until(lambda: self.test()["succeeded"])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def receivers(client: Client, tmp_path: Path) -> Iterator[list[DocumentedReceiver]]:
    """The receivers of the page: in Python and in Node."""
    (tmp_path / "receiver.py").write_text(snippet("python"), encoding="utf-8")
    (tmp_path / "receiver.mjs").write_text(snippet("js"), encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(installed_packages(REPOSITORY / "tests" / "node") / "node_modules")
    programs: list[list[str | Path]] = [[sys.executable, "receiver.py"], ["node", "receiver.mjs"]]
    started = [DocumentedReceiver(client, tmp_path, program) for program in programs]
    for each in started:
        each.wait_until_ready()
    yield started
    for each in started:
        each.stop()


def recorded_and_deleted(server: Server, client: Client) -> str:
    """Make a recording, delete it, and return its id."""
    with server.call() as call:
        identity: str = client.start(call.id)["plainId"]
        # A fixed time, because a recording without audio is discarded.
        time.sleep(1)
        client.do("stopRecording", id=identity)
        client.wait_for(identity, "STORED")
    client.do("deleteRecording", id=identity)
    return identity


def kazoo(customer: Customer, path: str, **kazoo: Any) -> dict[str, Any]:
    custom = {"customData": {"tag": f"{path} ü&+%/"}}
    return {"url": f"{customer.url}/{path}?key=a", "format": "KAZOO", "kazoo": {**custom, **kazoo}}


@pytest.mark.event_bar(12)
def test_bar_3_and_12_every_receiver_gets_the_events_of_a_recording_in_order(
    sender: Server, client: Client, receivers: list[DocumentedReceiver], customer: Customer
) -> None:
    hooks: dict[str, Any] = {
        path: mutate(client, CREATE, **({"types": ["STORED", "TRASHED"]} | input))
        for path, input in {
            "binary": {"url": f"{customer.url}/binary", "format": "CLOUDEVENTS_BINARY"},
            "structured": {"url": f"{customer.url}/structured", "format": "CLOUDEVENTS_STRUCTURED"},
            "form": kazoo(customer, "form"),
            "json": kazoo(customer, "json", verb="PUT", body="JSON"),
            "get": kazoo(customer, "get", verb="GET"),
        }.items()
    }
    identity = recorded_and_deleted(sender, client)
    expected = [f"recording.stored {identity}", f"recording.trashed {identity}"]
    for each in receivers:
        until(lambda each=each: [line for line in each.lines() if identity in line] == expected)  # type: ignore[misc]
    until(lambda: len(customer.received) == 2 * len(hooks))

    def received(path: str) -> list[ReceivedRequest]:
        return [each for each in customer.received if urlsplit(each.path).path == f"/{path}"]

    for path in ("binary", "structured"):
        found = [from_http_event(HTTPMessage(each.headers, each.body)) for each in received(path)]
        assert [event.get_type().split(".", 1)[1] for event in found] == ["recording.stored.v1", "recording.trashed.v1"]
        assert {event.get_subject() for event in found} == {identity}
        assert [event.get_id() for event in found] == [each.headers["webhook-id"] for each in received(path)]
        for request in received(path):
            Webhook(hooks[path]["secret"]).verify(request.body, request.headers)
    for path, method in (("form", "POST"), ("json", "PUT"), ("get", "GET")):
        check_kazoo(received(path), method, identity, hooks[path]["webhook"]["id"], path)
    log = sender.log.read_text()
    for secret in (hook["secret"] for hook in hooks.values()):
        assert secret not in log
    assert "key=a" not in log
    assert "whsk_" not in log


def check_kazoo(requests: list[ReceivedRequest], method: str, identity: str, hook_id: str, tag: str) -> None:
    """Compare requests with those that Kazoo sends, field by field."""
    values = []
    for each in requests:
        query = dict(parse_qsl(urlsplit(each.path).query))
        assert query.pop("key") == "a"
        assert each.method == method
        content_type = each.headers.get("content-type")
        if method == "GET":
            assert content_type is None
            assert each.body == b""
            values.append(query)
        else:
            assert query == {}
            is_json = method == "PUT"
            assert content_type == ("application/json" if is_json else "application/x-www-form-urlencoded")
            values.append(json.loads(each.body) if is_json else dict(parse_qsl(each.body.decode())))
        headers = {name.lower(): value for name, value in each.headers.items()}
        assert headers["x-hook-id"] == hook_id
        assert headers["x-account-id"] == values[-1]["account_id"]
    actions = ["doc_created", "doc_deleted"]
    (cluster_id,) = {each.pop("cluster_id") for each in values}
    (account_id,) = {each.pop("account_id") for each in values}
    assert re.fullmatch("[0-9a-f]{32}", cluster_id)
    assert re.fullmatch("[0-9a-f]{32}", account_id)
    same = {"id": identity, "type": "call_recording", "tag": f"{tag} ü&+%/"}
    assert values == [{**same, "action": action} for action in actions]


@pytest.mark.event_bar(3)
def test_bar_3_a_receiver_of_the_page_accepts_the_former_secret_until_the_rotation_is_over(
    client: Client, receivers: list[DocumentedReceiver]
) -> None:
    statuses = []
    for each in receivers:
        assert each.lines()[-1] == f"webhook.test {each.id}"
        mutate(client, ROTATE, id=each.id)
        assert each.test() == {"succeeded": True, "status": 204, "error": None}
        mutate(client, ROTATE, id=each.id, secretOverlapSeconds=0)
        attempt = each.test()
        assert not attempt["succeeded"]
        statuses.append(attempt["status"])
    # The receiver in Python closes the connection, the one in Node answers.
    assert statuses == [None, 400]


def test_a_webhook_gets_the_events_of_the_accounts_below_on_request(
    sender: Server, client: Client, customer: Customer
) -> None:
    account = client.graphql("{ viewer { account { plainId } } }")["viewer"]["account"]["plainId"]
    hooks: dict[str, dict[str, Any]] = {
        "own": {},
        "below": {"descendants": True},
        "vip": {"descendants": True, "filter": {"label": {"equal": "vip"}}},
    }
    for path, settings in hooks.items():
        mutate(client, CREATE, url=f"{customer.url}/{path}", **settings)

    async def record_below(services: Services) -> None:
        child = (await services.accounts.create_account("Child", parent_id=account)).id
        for label in ("vip", "other"):
            now = services.clock.now()
            new = replace(recording(now), account_id=child, label=label)
            await RecordingWriter(services.store).create(new, Created(at=now))

    asyncio.run(with_services(sender.data, record_below))

    def labels() -> list[tuple[str, str]]:
        found = [(each.path, json.loads(each.body)["data"]) for each in customer.received]
        return sorted((path, data["label"]) for path, data in found if data["accountId"] != account)

    until(lambda: labels() == [("/below", "other"), ("/below", "vip"), ("/vip", "vip")])


async def with_services(data: Path, work: Callable[[Services], Awaitable[None]]) -> None:
    async with open_services(load({}, {"data": str(data)})) as services:
        await work(services)


def test_the_command_line_creates_tests_and_replays(sender: Server, client: Client, customer: Customer) -> None:
    def run(*words: str, expected: int = 0) -> list[Any]:
        done = command("webhook", *words, data=sender.data, RECORDINGS_PRIVATE_HOSTS="127.0.0.1")
        assert done.returncode == expected, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    account = client.graphql("{ viewer { account { plainId } } }")["viewer"]["account"]["plainId"]
    url = f"{customer.url}/cli"
    (made,) = run("create", "--account", account, "--url", url, "--types", "recording.stored", "--name", "CLI")
    assert made["secret"].startswith("whsec_")
    (tested,) = run("test", made["id"])
    assert (tested["succeeded"], tested["status"]) == (True, 204)
    # The demo's recordings were stored before the webhook was created.
    (replayed,) = run("replay", made["id"], "--since", "2020-01-01T00:00:00Z")
    assert replayed["replay"]["since"] == "2020-01-01T00:00:00.000Z"
    stored = until(lambda: found if len(found := received(customer, made)) > 1 else None)
    assert {each["type"] for each in stored} == {"recording.stored"}
    attempts = run("attempts", made["id"])
    assert attempts[-1]["type"] == "webhook.test"


def received(customer: Customer, made: dict[str, Any]) -> list[Any]:
    """Return the events that the customer got, except for the test."""
    requests = [each for each in customer.received if each.path == "/cli"]
    events = [Webhook(made["secret"]).verify(each.body, each.headers) for each in requests]
    return [event for event in events if event["type"] != "webhook.test"]
