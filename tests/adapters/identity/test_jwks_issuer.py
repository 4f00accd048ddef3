"""Tokens of an issuer: asymmetric ones, for us, with keys that it publishes now."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.utils import base64url_encode

from adapters.identity import Credentials, Identity, Tokens
from adapters.identity import jwks_issuer as issuer
from adapters.identity.jwks_issuer import Issuer
from adapters.identity.tokens import LEEWAY
from adapters.metadata.sqlite import SqliteStore
from recordings.model.account import Account, Principal, Scope
from recordings.model.errors import Unauthenticated
from tests.adapters.identity.conftest import Seconds

URL = "https://issuer.example/keys"
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PRIVATE: dict[str, Any] = {"RS256": RSA, "ES256": EC, "EdDSA": ED}


def public(algorithm: str, kid: str) -> dict[str, Any]:
    maker: Any = jwt.get_algorithm_by_name(algorithm)
    shown = maker.to_jwk(PRIVATE[algorithm].public_key())
    return {**json.loads(shown), "kid": kid, "use": "sig"}


KEYS = json.dumps({"keys": [public(algorithm, algorithm) for algorithm in PRIVATE]}).encode()


class Published:
    """The issuer's side: what it publishes, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[Any] = [public(algorithm, algorithm) for algorithm in PRIVATE]
        self.asked = 0
        self.answer: httpx.Response | None = None
        self.silent = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        return self.answer or httpx.Response(200, json={"keys": self.keys})


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
async def identity(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, published: Published
) -> AsyncIterator[Identity]:
    client = httpx.AsyncClient(transport=httpx.MockTransport(published))
    made = Issuer(URL, issuer="https://issuer.example", audience="recordings", client=client, seconds=seconds)
    yield Identity(store, tokens, Credentials(store, seconds), made)
    await made.close()
    assert client.is_closed


def claims(account: Account, **others: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {
        "iss": "https://issuer.example",
        "aud": "recordings",
        "account_id": account.id,
        "scopes": ["read", "listen"],
        "iat": now,
        "exp": now + 60,
        **others,
    }
    return {name: value for name, value in given.items() if value is not ...}


def token(account: Account, algorithm: str = "RS256", kid: str | None = None, key: Any = None, **others: Any) -> str:
    headers = {"kid": kid or algorithm}
    return jwt.encode(claims(account, **others), key or PRIVATE[algorithm], algorithm=algorithm, headers=headers)


def part(value: Any) -> str:
    return base64url_encode(json.dumps(value).encode()).decode()


async def refused(identity: Identity, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await identity.authenticate({"Authorization": f"Bearer {text}"})


@pytest.mark.parametrize("algorithm", PRIVATE)
async def test_each_algorithm_works(identity: Identity, account: Account, algorithm: str) -> None:
    principal = await identity.authenticate({"X-Auth-Token": token(account, algorithm, sub="ada")})
    assert principal == Principal(account.id, frozenset({Scope.READ, Scope.LISTEN}), None, "ada")


@pytest.mark.parametrize(
    "others",
    [{"iss": "somebody"}, {"iss": ...}, {"aud": "others"}, {"aud": ...}, {"exp": 1}, {"exp": ...}, {"nbf": 2**33}],
)
async def test_a_token_that_is_not_for_us_is_refused(
    identity: Identity, account: Account, others: dict[str, Any]
) -> None:
    await refused(identity, token(account, **others))


async def test_a_published_key_is_no_signing_key(identity: Identity, account: Account) -> None:
    """The oldest trick: HS256 with the text of the public key as the secret."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for named in ("recordings", "https://issuer.example"):
        for secret in (pem, pem.strip(), json.dumps(public("RS256", "RS256")).encode()):
            # By hand: PyJWT refuses to sign with a public key, a forger does not.
            message = f"{part({'alg': 'HS256', 'kid': 'RS256'})}.{part({**claims(account), 'iss': named})}"
            signature = hmac.digest(secret, message.encode(), "sha256")
            await refused(identity, f"{message}.{base64url_encode(signature).decode()}")
    header, payload, _ = token(account).split(".")
    for algorithm in ("none", "HS256"):
        forged_header = part({"alg": algorithm, "kid": "RS256"})
        await refused(identity, f"{forged_header}.{payload}.")
        await refused(identity, f"{forged_header}.{payload}.{header}")


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "RS384"])
async def test_other_algorithms_of_the_same_key_are_refused(
    identity: Identity, account: Account, algorithm: str
) -> None:
    await refused(identity, token(account, algorithm, kid="RS256", key=RSA))


async def test_a_key_is_used_with_its_own_algorithm_alone(identity: Identity, account: Account) -> None:
    await refused(identity, token(account, "ES256", kid="RS256"))
    await refused(identity, token(account, "RS256", kid="EdDSA"))


async def test_symmetric_and_encryption_keys_are_passed_over(
    identity: Identity, account: Account, published: Published
) -> None:
    published.keys = [
        {"kty": "oct", "k": "AAAA", "kid": "one"},
        {**public("RS256", "two"), "use": "enc"},
        {"kty": "RSA", "kid": "broken"},
        {**public("RS256", "broken"), "n": "!"},
        {**public("RS256", "broken"), "n": 7},
        {**public("ES256", "broken"), "x": "AAAA"},
        {**public("ES256", "broken"), "x": None},
        {**public("EdDSA", "broken"), "x": "AAAA"},
        {**public("EdDSA", "broken"), "crv": 7},
        {**public("RS256", "unhashable"), "kid": ["RS256"]},
        "nonsense",
        # What it is for need not be said.
        {name: value for name, value in public("RS256", "good").items() if name != "use"},
    ]
    await refused(identity, token(account, kid="two"))
    await refused(identity, jwt.encode({"exp": 2**33}, bytes(32), algorithm="HS256", headers={"kid": "one"}))
    assert (await identity.authenticate({"X-Auth-Token": token(account, kid="good")})).account_id == account.id


async def test_an_unknown_key_id_asks_once_a_minute_at_most(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    await identity.authenticate({"X-Auth-Token": token(account)})
    assert published.asked == 1
    for number in range(20):
        await refused(identity, token(account, kid=f"unknown-{number}"))
    assert published.asked == 1
    published.keys = [public("RS256", "rotated")]
    seconds.now += 61
    await identity.authenticate({"X-Auth-Token": token(account, kid="rotated")})
    assert published.asked == 2
    await refused(identity, token(account, kid="RS256"))


async def test_a_withdrawn_key_is_forgotten(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    await identity.authenticate({"X-Auth-Token": token(account)})
    published.keys = []
    seconds.now += 3_601
    await refused(identity, token(account))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, content=KEYS),
        httpx.Response(302, headers={"location": "http://127.0.0.1/"}, content=KEYS),
        httpx.Response(200, content=b"not json"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"keys": {"RS256": public("RS256", "RS256")}}),
        httpx.Response(200, content=b" " * 300_000 + KEYS),
    ],
)
async def test_an_issuer_that_cannot_be_asked_lets_nobody_in_and_is_not_hammered(
    identity: Identity, account: Account, published: Published, answer: httpx.Response
) -> None:
    published.answer = answer
    for _ in range(5):
        await refused(identity, token(account))
    assert published.asked == 1


async def test_known_keys_survive_an_outage(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    await identity.authenticate({"X-Auth-Token": token(account)})
    published.answer = httpx.Response(500)
    seconds.now += 61
    await refused(identity, token(account, kid="unknown"))
    await identity.authenticate({"X-Auth-Token": token(account)})


async def test_an_issuer_that_says_nothing_is_one_that_cannot_be_asked(
    identity: Identity,
    account: Account,
    published: Published,
    seconds: Seconds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask_in_silence(text: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(published, "silent", True)
            patched.setattr(issuer, "_TIMEOUT", 0.01)
            await identity.authenticate({"X-Auth-Token": text})

    with pytest.raises(Unauthenticated, match="cannot be asked now"):
        await ask_in_silence(token(account))
    seconds.now += 61
    await identity.authenticate({"X-Auth-Token": token(account)})
    seconds.now += 61
    with pytest.raises(Unauthenticated, match="not valid"):
        await ask_in_silence(token(account, kid="unknown"))
    # What was known is known.
    await identity.authenticate({"X-Auth-Token": token(account)})
    assert published.asked == 3


async def test_many_at_once_ask_once(identity: Identity, account: Account, published: Published) -> None:
    await asyncio.gather(*(identity.authenticate({"X-Auth-Token": token(account)}) for _ in range(8)))
    assert published.asked == 1


async def test_keys_are_looked_at_again_after_an_hour(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    for _ in range(3):
        await identity.authenticate({"X-Auth-Token": token(account)})
        await identity.authenticate({"X-Auth-Token": token(account)})
        seconds.now += 3_601
    assert published.asked == 3


async def test_the_clock_of_the_issuer_may_be_a_little_ahead(identity: Identity, account: Account) -> None:
    await identity.authenticate({"X-Auth-Token": token(account, iat=int(time.time()) + LEEWAY)})
    await refused(identity, token(account, iat=int(time.time()) + 3_600))


@pytest.mark.parametrize("kid", [None, 7, ["RS256"], {}])
async def test_a_token_without_a_key_id_is_refused(identity: Identity, account: Account, kid: Any) -> None:
    _, payload, signature = token(account).split(".")
    await refused(identity, f"{part({'alg': 'RS256', 'kid': kid})}.{payload}.{signature}")


async def test_our_own_tokens_and_garbage_are_none_of_the_issuers(
    identity: Identity, account: Account, tokens: Tokens, published: Published
) -> None:
    ours = Principal(account.id, frozenset({Scope.READ}), None, "somebody")
    assert await identity.authenticate({"X-Auth-Token": tokens.issue(ours)}) == ours
    for text in ("x", "a.b.c", "..", part([]) + ".e30.x"):
        await refused(identity, text)
    assert published.asked == 0


async def test_without_an_issuer_its_tokens_are_refused(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, account: Account
) -> None:
    await refused(Identity(store, tokens, Credentials(store, seconds)), token(account))
