"""This service's tokens: issued tokens are accepted, and all other tokens are rejected."""

import base64
import json
import time
from contextlib import suppress
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from adapters.identity import Identity, Tokens
from adapters.identity.authenticate import MAX_TOKEN
from adapters.identity.tokens import LEEWAY, MAX_CACHED
from recordings.model.account import GRANTABLE, Account, Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.ids import new_id
from tests.adapters.identity.conftest import KEY
from tests.support.fake_clock import FakeClock

# All examples of a property share one store. No example writes to it.
settings.register_profile("shared-store", suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SHARED = settings(settings.get_profile("shared-store"), max_examples=60)


def claims(account: Account, **others: Any) -> dict[str, Any]:
    now = int(time.time())
    values = {"iss": "recordings", "account_id": account.id, "scopes": ["read"], "iat": now, "exp": now + 60}
    values |= {"jti": "1", **others}
    return {name: value for name, value in values.items() if value is not ...}


def signed(payload: dict[str, Any], key: Any = KEY, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers=header or None)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def rejected(identity: Identity, *headers: tuple[str, str]) -> str:
    raw = [(name.lower().encode(), value.encode("utf-8", "surrogatepass")) for name, value in headers]
    with pytest.raises(Unauthenticated) as error:
        await identity.authenticate(Headers(raw=raw))
    return error.value.message


@given(
    scopes=st.frozensets(st.sampled_from(GRANTABLE)),
    owner=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=128),
)
@SHARED
async def test_an_issued_token_authenticates_its_principal(
    identity: Identity, tokens: Tokens, account: Account, scopes: frozenset[Scope], owner: str | None
) -> None:
    token = tokens.issue(Principal(account.id, scopes, owner, "ada lovelace"), 60)
    for headers in (
        {"X-Auth-Token": token},
        {"authorization": f"Bearer {token}"},
        {"AUTHORIZATION": f"bearer {token}"},
    ):
        assert await identity.authenticate(headers) == Principal(account.id, scopes, owner, "ada lovelace")


@given(position=st.integers(min_value=0), replacement=st.sampled_from("ABCDabcd0123-_.="))
@SHARED
async def test_a_modified_token_is_rejected(
    identity: Identity, tokens: Tokens, account: Account, position: int, replacement: str
) -> None:
    token = tokens.issue(Principal(account.id, frozenset({Scope.READ})), 60)
    position %= len(token)
    modified = token[:position] + replacement + token[position + 1 :]
    # The last character of a signature has unused bits. All other characters matter.
    if modified != token and position != len(token) - 1:
        await rejected(identity, ("X-Auth-Token", modified))


@given(text=st.text(min_size=1, max_size=200))
@SHARED
async def test_any_other_text_is_rejected(identity: Identity, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await identity.authenticate_token(text)


@pytest.mark.parametrize(
    "others",
    [
        {"exp": ...},
        {"iat": ...},
        {"jti": ...},
        {"jti": 7},
        {"jti": ""},
        {"jti": "x" * 65},
        {"iss": ...},
        {"iss": "kazoo"},
        {"exp": 1},
        {"exp": "soon"},
        {"nbf": 2**33},
        {"iat": 2**33},
        {"account_id": ...},
        {"account_id": 7},
        {"account_id": "A" * 32},
        {"account_id": "../../etc/passwd"},
        {"scopes": ...},
        {"scopes": "read"},
        {"scopes": {"read": True}},
        {"scopes": [["read"]]},
        {"scopes": ["read", "everything"]},
        {"scopes": ["ingest"]},
        {"scopes": ["read"] * 17},
        {"owner_id": 0},
        {"owner_id": ""},
        {"owner_id": False},
        {"owner_id": []},
        {"owner_id": "x" * 129},
    ],
)
async def test_a_token_with_wrong_claims_is_rejected(
    identity: Identity, account: Account, others: dict[str, Any]
) -> None:
    await rejected(identity, ("X-Auth-Token", signed(claims(account, **others))))


async def test_the_issuing_servers_clock_may_be_slightly_ahead(identity: Identity, account: Account) -> None:
    ahead = signed(claims(account, iat=int(time.time()) + LEEWAY))
    assert (await identity.authenticate_token(ahead)).account_id == account.id


async def test_a_token_with_lone_surrogates_is_rejected(identity: Identity, tokens: Tokens) -> None:
    for text in ("\ud800", "e\ud800.e\udfff.\ud800"):
        assert tokens.cached(text) is None
        with pytest.raises(Unauthenticated):
            tokens.verify(text)
        with pytest.raises(Unauthenticated):
            await identity.authenticate_token(text)


async def test_a_token_of_an_unknown_account_is_rejected(identity: Identity, tokens: Tokens) -> None:
    await rejected(identity, ("X-Auth-Token", tokens.issue(Principal(new_id(), frozenset({Scope.ADMIN})))))


async def test_a_token_without_a_signature_is_rejected(identity: Identity, account: Account) -> None:
    for algorithm in ("none", "None", "NONE", "nOnE", "", None, 0, ["HS256"]):
        token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims(account))}."
        await rejected(identity, ("X-Auth-Token", token))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_other_algorithms_are_rejected(identity: Identity, account: Account, algorithm: str) -> None:
    await rejected(identity, ("X-Auth-Token", signed(claims(account), KEY, algorithm)))


async def test_a_token_signed_with_another_key_is_rejected(identity: Identity, account: Account) -> None:
    await rejected(identity, ("X-Auth-Token", signed(claims(account), bytes(32))))


async def test_a_key_inside_a_token_is_ignored(identity: Identity, account: Account) -> None:
    own = {"kty": "oct", "k": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")}
    token = signed(claims(account), bytes(32), jwk=own, jku="http://127.0.0.1:9/keys", kid="../../dev/null")
    await rejected(identity, ("X-Auth-Token", token))


async def test_a_huge_token_is_rejected_quickly(identity: Identity, account: Account) -> None:
    token = signed(claims(account, padding="x" * MAX_TOKEN))
    began = time.process_time()
    await rejected(identity, ("X-Auth-Token", token))
    await rejected(identity, ("X-Auth-Token", "." * 10_000_000))
    await rejected(identity, ("X-Auth-Token", f"{'[' * 6_000}.a.b"))
    nested = base64.urlsafe_b64encode(b"[" * 5_000).decode()
    await rejected(identity, ("X-Auth-Token", f"{nested}.{nested}."))
    assert time.process_time() - began < 2


async def test_a_request_without_credentials_learns_how_to_send_them(identity: Identity) -> None:
    message = await rejected(identity)
    assert "X-Auth-Token" in message
    assert await rejected(identity, ("Authorization", "Basic YTpi"), ("X-Auth-Token", "")) == message


@pytest.mark.parametrize("owner", [None, "ada"])
@pytest.mark.parametrize("subject", [None, 7, "", "x" * 65, "a\nb", ["ada"]])
async def test_a_subject_that_is_not_a_printable_name_is_ignored(
    tokens: Tokens, account: Account, subject: Any, owner: str | None
) -> None:
    # PyJWT rejects some of these subjects.
    with suppress(Unauthenticated):
        named = tokens.verify(signed(claims(account, sub=subject, owner_id=owner))).principal.name
        assert named == (owner or "token")
    assert tokens.verify(signed(claims(account, sub="x" * 64))).principal.name == "x" * 64


async def test_other_headers_are_not_read(identity: Identity, account: Account) -> None:
    for name in ("Proxy-Authorization", "Cookie", "X-Auth", "Authorization-Token"):
        message = await rejected(identity, (name, f"Bearer {signed(claims(account))}"))
        assert "send a token" in message


async def test_a_rejection_does_not_reveal_the_reason(identity: Identity, account: Account) -> None:
    expired = await rejected(identity, ("X-Auth-Token", signed(claims(account, exp=1))))
    forged = await rejected(identity, ("X-Auth-Token", signed(claims(account), bytes(32))))
    unknown = await rejected(identity, ("X-Auth-Token", "0" * 64))
    assert expired == forged == unknown


async def test_two_different_credentials_are_rejected_but_a_repeated_one_is_accepted(
    identity: Identity, tokens: Tokens, account: Account
) -> None:
    one, two = (tokens.issue(Principal(account.id, frozenset({Scope.READ}))) for _ in range(2))
    assert "several" in await rejected(identity, ("X-Auth-Token", one), ("X-Auth-Token", two))
    assert "several" in await rejected(identity, ("X-Auth-Token", one), ("Authorization", f"Bearer {two}"))
    raw = [(b"x-auth-token", one.encode()), (b"authorization", f"Bearer {one}".encode())]
    assert (await identity.authenticate(Headers(raw=raw))).account_id == account.id


async def test_a_verified_token_is_cached_until_it_expires(account: Account) -> None:
    clock = FakeClock(int(time.time()) * 1_000)
    tokens = Tokens(KEY, clock)
    token = tokens.issue(Principal(account.id, frozenset({Scope.READ}), None, "ada lovelace"), 60)
    assert tokens.cached(token) is None
    verified = tokens.verify(token)
    assert tokens.cached(token) is verified
    assert tokens.cached(token[:-1]) is None
    clock.move(59_999)
    assert tokens.cached(token) is verified
    clock.move(1)
    assert tokens.cached(token) is None


async def test_the_token_cache_is_bounded(account: Account) -> None:
    tokens = Tokens(KEY, FakeClock(int(time.time()) * 1_000))
    many = [tokens.issue(Principal(account.id, frozenset(), None, str(number)), 60) for number in range(MAX_CACHED + 1)]
    for token in many:
        tokens.verify(token)
    assert tokens.cached(many[0]) is None
    assert tokens.cached(many[-1]) is not None
