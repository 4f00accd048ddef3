"""Two servers on one MongoDB, with a client of each."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.e2e.installation import make_account, make_ingest
from tests.e2e.server import Client, Server

CALLS = "{ viewer { account { calls(first: 100) { nodes { callId node } } } } }"


class Pair(NamedTuple):
    """The servers, and a client of each that may do everything with the account's calls.

    `ingest` is the path of an ingest address of the account.
    """

    one: Server
    other: Server
    at_one: Client
    at_other: Client
    ingest: str


@contextmanager
def open_pair(folder: Path, uri: str, ahead: int = 0, uri_of_one: str | None = None) -> Iterator[Pair]:
    """Start two servers on a MongoDB database, and stop them at the end.

    The clock of the second one is `ahead` seconds ahead. `uri_of_one` is the URI that the first one uses.
    """
    variables = {
        "RECORDINGS_MONGODB": uri,
        "RECORDINGS_MEDIA": f"file://{folder}/audio",
        "RECORDINGS_KEY_FILE": f"{folder}/secret.key",
    }
    servers = [Server(folder / name, **variables) for name in ("one", "other")]
    with ExitStack() as stack:
        for server in servers:
            stack.push(server.__exit__)
            server.variables["RECORDINGS_PEER_URL"] = server.url
            if uri_of_one is not None and server is servers[0]:
                server.variables["RECORDINGS_MONGODB"] = uri_of_one
            is_shifted = ahead and server.data.name == "other"
            server.launch(prepare=("tests.e2e.shifted_clock:shift", str(ahead)) if is_shifted else ())
        token = make_account(folder / "one", **variables)
        ingest = make_ingest(folder / "one", **variables)
        one, other = (server.wait_until_ready() for server in servers)
        yield Pair(one, other, one.client(token), other.client(token), ingest)


def live(client: Client) -> list[str]:
    """Return the ids of the account's live calls, as a server lists them."""
    return [call["callId"] for call in client.graphql(CALLS)["viewer"]["account"]["calls"]["nodes"]]


def audio(client: Client, identity: str) -> bytes:
    """Return the stored audio of a recording."""
    return client.http.get(client.find(identity)["media"]["url"]).raise_for_status().content


def codes(payload: "dict[str, list[dict[str, str]]]") -> list[str]:
    """Return the error codes of a mutation's payload."""
    return [error["code"] for error in payload["errors"]]
