"""Delivery of a recording to its `url`: a real web server, an unreachable one, and hosts that are not allowed."""

import hashlib
import json
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.e2e.server import SECONDS, Client, Server, command, until
from tests.servers.customer_server import Customer
from tests.servers.free_ports import free_port

QUERY = """query Q($id: ID!) { recording(id: $id) { plainId state callId from to interactionId cdrId start
durationMs media { url length sha256 contentType }
delivery { id state attempts dueAt lastError deliveredAt } } }"""


@pytest.fixture
def customer() -> Iterator[Customer]:
    server = Customer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may send to this machine."""
    with Server(tmp_path_factory.mktemp("delivery") / "data", "--demo", "--private-hosts", "127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def client(sender: Server) -> Client:
    return sender.client(sender.shown_token())


def recorded(server: Server, client: Client, **options: Any) -> Any:
    """Make a stored recording with a `url`. Return it as GraphQL shows it first."""
    with server.call() as call:
        identity = client.start(call.id, **options)["plainId"]
        # A fixed time, because a recording without audio is discarded.
        time.sleep(1)
        client.do("stopRecording", id=identity)
        client.wait_for(identity, "STORED")
    return shown(client, identity)


def shown(client: Client, identity: str) -> Any:
    return client.graphql(QUERY, id=identity)["recording"]


def delivered(client: Client, identity: str, state: str = "DELIVERED") -> Any:
    return until(lambda: found if (found := shown(client, identity))["delivery"]["state"] == state else None)


def test_a_delivery_is_signed_as_the_page_says(sender: Server, client: Client, customer: Customer) -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    snippet = textwrap.dedent(text.partition("  ```python\n")[2].partition("  ```\n")[0])
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - the page of this repository
    customer.start()
    rotate = "mutation { rotateDeliverySecret(input: {}) { secret errors { __typename } } }"
    secrets = [client.graphql(rotate)["rotateDeliverySecret"]["secret"] for _ in range(2)]
    begun = recorded(sender, client, url=f"{customer.url}/in")
    delivered(client, begun["plainId"])
    (received,) = customer.received
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert [names["is_signed"](secret, headers, received.body) for secret in secrets] == [True, True]
    assert not names["is_signed"](secrets[0], headers, received.body + b"x")
    clear = "mutation { clearDeliverySecret(input: {}) { remaining } }"
    assert client.graphql(clear)["clearDeliverySecret"]["remaining"] == 0
    assert not [secret for secret in secrets if secret[6:] in sender.log.read_text()]


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_recording_is_delivered_with_its_metadata(
    sender: Server, client: Client, customer: Customer, method: str
) -> None:
    customer.start()
    begun = recorded(sender, client, url=f"{customer.url}/in", method=method.upper())
    found = delivered(client, begun["plainId"])
    (received,) = customer.received
    target = urlsplit(received.path)
    params = dict(parse_qsl(target.query, keep_blank_values=True))
    assert (received.method, target.path) == (method.upper(), f"/in/call_recording_{found['callId']}.mp3")
    assert list(params) == [
        "from", "to", "caller_id_name", "caller_id_number", "call_id", "cdr_id", "interaction_id", "owner_id",
        "account_id", "start", "duration_ms", "recording_id",
    ]  # fmt: skip
    assert (params["recording_id"], params["call_id"]) == (found["plainId"], found["callId"])
    metadata = (found["from"], found["to"], str(found["durationMs"]))
    assert (params["from"], params["to"], params["duration_ms"]) == metadata
    assert received.headers["Content-Type"] == found["media"]["contentType"] == "audio/mpeg"
    assert received.headers["Recording-Delivery-Id"] == found["delivery"]["id"]
    assert hashlib.sha256(received.body).hexdigest() == found["media"]["sha256"]
    assert (found["delivery"]["lastError"], found["delivery"]["dueAt"]) == (None, None)
    again = client.do("redeliverRecording", id=found["plainId"])
    assert again["state"] == "STORED"
    until(lambda: len(customer.received) == 2)
    second_id = delivered(client, found["plainId"])["delivery"]["id"]
    assert customer.received[1].headers["Recording-Delivery-Id"] == second_id != found["delivery"]["id"]
    assert customer.received[1].body == received.body


def test_an_unreachable_customer_delays_no_playback_and_gets_the_recording_later(
    sender: Server, client: Client, customer: Customer
) -> None:
    identity = recorded(sender, client, url=f"{customer.url}/in?key=much-secret")["plainId"]
    waiting = until(lambda: found if (found := shown(client, identity))["delivery"]["lastError"] else None)
    assert waiting["delivery"]["state"] == "PENDING"
    assert waiting["delivery"]["attempts"] >= 1
    assert waiting["delivery"]["dueAt"] is not None
    assert "connection to the server failed" in waiting["delivery"]["lastError"]
    assert "much-secret" not in json.dumps(waiting)
    assert client.http.get(waiting["media"]["url"]).status_code == 200
    customer.start()
    client.do("redeliverRecording", id=identity)
    assert delivered(client, identity)["delivery"]["deliveredAt"] is not None
    assert customer.received[0].path.startswith(
        f"/in?key=much-secret&recording=call_recording_{waiting['callId']}.mp3&"
    )


def test_a_url_scheme_that_is_not_allowed_is_rejected_at_the_start(sender: Server, client: Client) -> None:
    with sender.call() as call:
        identity = client.start(call.id)["plainId"]
        client.do("stopRecording", id=identity)
        for url in ("s3://bucket/in", "ftp://127.0.0.1/in", "file:///etc", "memory://x/y"):
            refused = client.mutate("startRecording", callId=call.id, url=url)
            assert refused["recording"] is None
            (error,) = refused["errors"]
            assert error["code"] == "INVALID_INPUT"
            assert "url must be an absolute URL with a host, beginning with http:// or https://" in error["message"]


def test_a_private_address_is_not_used_unless_it_is_allowed(tmp_path: Path, customer: Customer) -> None:
    customer.start()
    with Server(tmp_path / "data", "--demo") as server:
        client = server.client(server.shown_token())
        identity = recorded(server, client, url=f"http://localhost:{customer.port}/in")["plainId"]
        found = delivered(client, identity, "FAILED")
        assert found["delivery"]["lastError"] == "the host 'localhost' has no public address"
        assert found["delivery"]["dueAt"] is None
        assert client.http.get(found["media"]["url"]).status_code == 200
    assert customer.received == []


def test_an_invalid_setting_ends_the_start(tmp_path: Path) -> None:
    for name, value, said in (
        ("RECORDINGS_PRIVATE_HOSTS", "*.example.org", "not a name, an address or a network"),
        ("RECORDINGS_DELIVERY_PLACES", "http,nothing", "'nothing://'"),
        ("RECORDINGS_DELIVERY_PLACES", "simplecache", "allows every host"),
        ("RECORDINGS_MEDIA_OPTIONS", str(tmp_path / "nowhere"), "cannot be read"),
    ):
        ended = command("serve", "--port", str(free_port()), data=tmp_path / "data", seconds=SECONDS, **{name: value})
        assert (ended.returncode, name in ended.stderr, said in ended.stderr) == (1, True, True), ended.stderr
        assert "Traceback" not in ended.stderr
