"""The audit trail of the complete app: each way to hear a recording leaves exactly one entry, refused ones too."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.app import create_app
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import GRANTABLE, Account, Principal, Scope
from recordings.model.recording import Media, Recording, State
from recordings.model.user import PrivLevel

AUDIO = b"ID3" + bytes(range(256)) * 40
QUERY = """query($filter: AuditLogFilter, $first: Int!, $after: String, $descendants: Boolean) {
  auditLog(filter: $filter, first: $first, after: $after, descendants: $descendants) {
    nodes { id at accountId action outcome way ip userAgent requestId seconds details
      actor { kind id accountId ownerId userId keyId tokenId name } object { type id accountId } }
    edges { cursor node { id } }
    pageInfo { hasNextPage endCursor }
  }
}"""


@dataclass
class World:
    """A running app with a stored recording."""

    services: Services
    http: httpx.AsyncClient
    account: Account
    below: Account
    recording: Recording

    def token(self, *scopes: Scope, owner: str | None = None, account: Account | None = None) -> str:
        principal = Principal((account or self.account).id, frozenset(scopes or GRANTABLE), owner, "app")
        return self.services.tokens.issue(principal)

    async def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        sent = headers if token is None else {"x-auth-token": token, **headers}
        return await self.http.get(path, headers=sent)

    async def ask(self, query: str, token: str | None = None, **variables: Any) -> Any:
        sent = {"x-auth-token": token or self.token()}
        response = await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=sent)
        return response.json()

    async def trail(self, *actions: str, first: int = 50, token: str | None = None, **filter: Any) -> list[Any]:
        """Return entries, the oldest first."""
        given = {**filter, **({"action": list(actions)} if actions else {})}
        answer = await self.ask(QUERY, token, filter=given, first=first)
        assert "errors" not in answer, answer
        nodes: list[Any] = answer["data"]["auditLog"]["nodes"]
        return nodes[::-1]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_services(load({}, {"data": str(tmp_path)})) as services:
        account = await services.accounts.create_account("Acme")
        below = await services.accounts.create_account("Sales", account.id)
        (tmp_path / "audio").write_bytes(AUDIO)
        kept = await _stored(services, account, "202611-" + "1" * 32, tmp_path / "audio")
        transport = httpx.ASGITransport(create_app(services), client=("10.0.0.9", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
            yield World(services, http, account, below, kept)


async def _stored(services: Services, account: Account, name: str, path: Path) -> Recording:
    url = await services.media.put(f"{account.id}/{name[:6]}/{name}.mp3", str(path), "audio/mpeg")
    now = services.clock.now()
    made = Recording(
        id=name,
        account_id=account.id,
        owner_id="ada",
        state=State.STORED,
        start=now,
        created=now,
        modified=now,
        ended=now,
        call_id="c1",
        from_="4930123@x",
        to="b@x",
        media=Media(url, "audio/mpeg", len(AUDIO), 60_000, 8_000, 1, sha256(AUDIO).hexdigest(), now),
    )
    await services.store.insert(made)
    return made


PLAYS = ("PLAY", "DOWNLOAD")


@pytest.mark.event_bar(11)
async def test_each_way_to_hear_a_recording_leaves_one_entry(world: World) -> None:
    token = world.token(owner="ada")
    ask = "query($id: ID!) { recording(id: $id) { media { url } } }"
    url = (await world.ask(ask, token, id=world.recording.id))["data"]["recording"]["media"]["url"]
    v2 = f"/v2/accounts/{world.account.id}/recordings/{world.recording.id}"
    for path, sent, headers in (
        (f"/media/{world.recording.id}?inline=true", token, {}),
        (url.removeprefix("http://api.test"), None, {"user-agent": "player/1"}),
        (v2, token, {"accept": "audio/mpeg"}),
        (f"/media/{world.recording.id}", world.token(), {}),
    ):
        response = await world.get(path, sent, **headers)
        assert (response.status_code, response.content) == (200, AUDIO), path
    found = await world.trail(*PLAYS)
    assert [(each["action"], each["way"], each["actor"]["kind"], each["seconds"]) for each in found] == [
        ("PLAY", "REST", "OWNER", 60.0),
        ("PLAY", "SIGNED_URL", "OWNER", 60.0),
        ("DOWNLOAD", "REST", "OWNER", 60.0),
        ("DOWNLOAD", "REST", "TOKEN", 60.0),
    ]
    signed = found[1]
    assert (signed["actor"]["id"], signed["actor"]["tokenId"]) == ("ada", found[0]["actor"]["tokenId"])
    assert (signed["ip"], signed["userAgent"], signed["outcome"]) == ("10.0.0.9", "player/1", "GRANTED")
    assert signed["object"] == {"type": "recording", "id": world.recording.id, "accountId": world.account.id}
    assert signed["requestId"]


async def test_the_query_in_the_documents_works(world: World) -> None:
    assert (await world.get(f"/media/{world.recording.id}?inline=true", world.token())).status_code == 200
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    query = page.split("```graphql\n")[1].split("```")[0]
    answer = await world.ask(query, id=world.recording.id)
    (found,) = answer["data"]["auditLog"]["nodes"]
    assert (found["action"], found["seconds"], found["actor"]["name"]) == ("PLAY", 60.0, "app")


async def test_ranges_of_a_player_are_one_play_with_the_seconds_heard(world: World) -> None:
    token, path, half = world.token(), f"/media/{world.recording.id}", len(AUDIO) // 2
    for part in (f"0-{half - 1}", "0-99", f"{half - 50}-{half - 1}"):
        assert (await world.get(path, token, range=f"bytes={part}")).status_code == 206
    await world.http.head(path, headers={"x-auth-token": token})
    (found,) = await world.trail(*PLAYS)
    assert (found["action"], found["seconds"]) == ("PLAY", 30.0)
    assert (found["details"]["ranges"], found["details"]["bytes"]) == ([[0, half]], half + 150)


async def test_refused_attempts_say_who_and_why(world: World) -> None:
    stranger = await world.services.accounts.create_account("Other")
    foreign, weak = world.token(account=stranger), world.token(Scope.READ)
    path = f"/media/{world.recording.id}"
    assert (await world.get(path, foreign)).status_code == 404
    assert (await world.get(path, weak)).status_code == 403
    assert (await world.get(path, "0" * 64)).status_code == 401
    assert (await world.get(f"/v2/accounts/{stranger.id}", weak)).status_code == 403
    await world.ask("query($id: ID!) { recording(id: $id) { state } }", foreign, id=world.recording.id)
    own = [(each["action"], each["details"]["reason"]) for each in await world.trail(outcome="DENIED")]
    assert own == [("PLAY", "FORBIDDEN"), ("READ", "NOT_FOUND")]
    theirs = await world.trail(outcome="DENIED", token=foreign)
    assert [(each["action"], each["object"]["id"]) for each in theirs] == [
        ("PLAY", world.recording.id), ("READ", world.recording.id)
    ]  # fmt: skip
    assert {each["object"]["accountId"] for each in theirs} == {stranger.id}
    assert not await world.trail(*PLAYS, outcome="GRANTED")


async def test_changes_logins_and_administration_are_in_the_trail(world: World) -> None:
    services, account = world.services, world.account
    user = await services.users.create(account.id, "ada", "correct horse", priv_level=PrivLevel.ADMIN)
    key = await services.accounts.create_key(account.id, None, frozenset(GRANTABLE))
    body = {"data": {"api_key": key.secret}}
    assert (await world.http.put("/v2/api_auth", json=body)).status_code == 201
    change = "mutation($id: ID!) { %s(input: {id: $id %s}) { errors { __typename } } }"
    for name in ("holdRecording", "releaseRecording", "deleteRecording", "restoreRecording"):
        more = ', reason: "case"' if name == "holdRecording" else ""
        answer = await world.ask(change % (name, more), id=world.recording.id)
        assert answer["data"][name]["errors"] == [], answer
    await world.ask("{ recordings(first: 5) { nodes { id } totalCount } }")
    assert (await world.get("/export/recordings", world.token())).status_code == 200
    found = await world.trail()
    done = [each["action"] for each in found if each["action"] not in {"LIST", "READ"}]
    assert done == ["ACCOUNT", "USER", "KEY", "LOGIN", "HOLD", "RELEASE", "DELETE", "RESTORE", "EXPORT"]
    assert [each["object"]["id"] for each in found if each["action"] == "USER"] == [user.id]
    (login,) = [each for each in found if each["action"] == "LOGIN"]
    assert (login["actor"]["kind"], login["actor"]["keyId"], login["way"]) == ("KEY", key.key.id, "REST")
    (export,) = [each for each in found if each["action"] == "EXPORT"]
    assert (export["details"]["rows"], export["details"]["complete"]) == (1, True)
    (listed,) = [each for each in found if each["action"] == "LIST"]
    assert listed["details"]["rows"] == 1
    assert "4930123" not in str(found)


async def test_pages_follow_one_another_and_cover_the_accounts_below(world: World) -> None:
    for account in (world.account, world.below):
        for number in range(4):
            await world.services.accounts.create_key(account.id, f"owner{number}", frozenset({Scope.READ}))
    seen, after = list[str](), None
    while True:
        answer = await world.ask(QUERY, filter={"action": ["KEY"]}, first=3, after=after, descendants=True)
        page = answer["data"]["auditLog"]
        assert [each["node"]["id"] for each in page["edges"]] == [each["id"] for each in page["nodes"]]
        seen += [each["id"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen)) == 8
    assert len(await world.trail("KEY")) == 4
    assert len(await world.trail("KEY", accountId=world.below.id)) == 4


async def test_the_trail_needs_the_scope_admin_and_an_account_within_reach(world: World) -> None:
    for token, code in (
        (world.token(Scope.READ, Scope.LISTEN), "FORBIDDEN"),
        (world.token(owner="ada"), "FORBIDDEN"),
        (world.token(account=world.below), "NOT_FOUND"),
    ):
        answer = await world.ask(QUERY, token, filter={"accountId": world.account.id}, first=5)
        assert [each["extensions"]["code"] for each in answer["errors"]] == [code]


async def test_a_strict_server_plays_and_changes_nothing_without_the_trail(tmp_path: Path) -> None:
    async with open_services(load({}, {"data": str(tmp_path), "audit": "strict"})) as services:
        account = await services.accounts.create_account("Acme")
        (tmp_path / "audio").write_bytes(AUDIO)
        kept = await _stored(services, account, "202611-" + "1" * 32, tmp_path / "audio")
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
            world = World(services, http, account, account, kept)

            async def broken(_entries: Any) -> None:
                raise OSError

            services.store.append_entries = broken  # type: ignore[method-assign, assignment]
            response = await world.get(f"/media/{kept.id}", world.token())
            assert (response.status_code, AUDIO in response.content) == (503, False)
            change = "mutation($id: ID!) { deleteRecording(input: {id: $id}) { errors { __typename } } }"
            sent = {"query": change, "variables": {"id": kept.id}}
            response = await http.post("/graphql", json=sent, headers={"x-auth-token": world.token()})
            assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            path = f"/v2/accounts/{account.id}/recordings/{kept.id}"
            response = await http.delete(path, headers={"x-auth-token": world.token()})
            assert response.status_code == 503
            found = await services.store.load(kept.id)
            assert found == replace(kept, modified=kept.modified)
