"""Tokens of an external issuer: asymmetric signatures, this service as audience, and currently published keys."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.utils import base64url_encode
from structlog.testing import capture_logs

from adapters.identity import Credentials, Identity, Tokens, jwks_issuer
from adapters.identity.jwks_issuer import Issuer
from adapters.identity.tokens import LEEWAY
from adapters.metadata.sqlite import SqliteStore
from recordings.model.account import Account, Principal, Scope
from recordings.model.errors import Unauthenticated
from tests.adapters.identity.conftest import Seconds

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
    """A real HTTP server that publishes the keys, and counts the requests."""

    def __init__(self) -> None:
        self.keys: list[Any] = [public(algorithm, algorithm) for algorithm in PRIVATE]
        self.requests = 0
        self.response: tuple[int, bytes] | None = None
        self.is_silent = False
        self.url = ""

    async def respond(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.is_silent:
            await asyncio.Event().wait()
        status, body = self.response or (200, json.dumps({"keys": self.keys}).encode())
        # A client that follows redirects would request the keys twice.
        return web.Response(status=status, body=body, headers={"location": self.url})


@pytest.fixture
async def published() -> AsyncIterator[Published]:
    published = Published()
    application = web.Application()
    application.router.add_get("/keys", published.respond)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    published.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield published
    await runner.cleanup()


@pytest.fixture
async def identity(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, published: Published
) -> AsyncIterator[Identity]:
    issuer = Issuer(published.url, issuer="https://issuer.example", audience="recordings", seconds=seconds)
    yield Identity(store, tokens, Credentials(store, seconds), issuer)
    await issuer.close()


def claims(account: Account, **others: Any) -> dict[str, Any]:
    now = int(time.time())
    values = {
        "iss": "https://issuer.example",
        "aud": "recordings",
        "account_id": account.id,
        "scopes": ["read", "listen"],
        "iat": now,
        "exp": now + 60,
        **others,
    }
    return {name: value for name, value in values.items() if value is not ...}


def token(account: Account, algorithm: str = "RS256", kid: str | None = None, key: Any = None, **others: Any) -> str:
    headers = {"kid": kid or algorithm}
    return jwt.encode(claims(account, **others), key or PRIVATE[algorithm], algorithm=algorithm, headers=headers)


def part(value: Any) -> str:
    return base64url_encode(json.dumps(value).encode()).decode()


async def rejected(identity: Identity, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await identity.authenticate({"Authorization": f"Bearer {text}"})


@pytest.mark.parametrize("algorithm", PRIVATE)
async def test_each_allowed_algorithm_is_accepted(identity: Identity, account: Account, algorithm: str) -> None:
    principal = await identity.authenticate({"X-Auth-Token": token(account, algorithm, sub="ada")})
    assert principal == Principal(account.id, frozenset({Scope.READ, Scope.LISTEN}), None, "ada")


@pytest.mark.parametrize(
    "others",
    [{"iss": "other"}, {"iss": ...}, {"aud": "others"}, {"aud": ...}, {"exp": 1}, {"exp": ...}, {"nbf": 2**33}],
)
async def test_a_token_with_other_claims_is_rejected(
    identity: Identity, account: Account, others: dict[str, Any]
) -> None:
    await rejected(identity, token(account, **others))


async def test_a_published_key_cannot_sign_a_token(identity: Identity, account: Account) -> None:
    """A known attack: sign with HS256, and use the text of the public key as the secret."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for named in ("recordings", "https://issuer.example"):
        for secret in (pem, pem.strip(), json.dumps(public("RS256", "RS256")).encode()):
            # Built by hand, because PyJWT refuses to sign with a public key.
            message = f"{part({'alg': 'HS256', 'kid': 'RS256'})}.{part({**claims(account), 'iss': named})}"
            signature = hmac.digest(secret, message.encode(), "sha256")
            await rejected(identity, f"{message}.{base64url_encode(signature).decode()}")
    header, payload, _ = token(account).split(".")
    for algorithm in ("none", "HS256"):
        forged_header = part({"alg": algorithm, "kid": "RS256"})
        await rejected(identity, f"{forged_header}.{payload}.")
        await rejected(identity, f"{forged_header}.{payload}.{header}")


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "RS384"])
async def test_other_algorithms_of_the_same_key_are_rejected(
    identity: Identity, account: Account, algorithm: str
) -> None:
    await rejected(identity, token(account, algorithm, kid="RS256", key=RSA))


async def test_a_key_verifies_only_its_own_algorithm(identity: Identity, account: Account) -> None:
    await rejected(identity, token(account, "ES256", kid="RS256"))
    await rejected(identity, token(account, "RS256", kid="EdDSA"))


async def test_symmetric_encryption_and_broken_keys_are_skipped(
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
        # The field `use` is optional.
        {name: value for name, value in public("RS256", "good").items() if name != "use"},
    ]
    await rejected(identity, token(account, kid="two"))
    await rejected(identity, jwt.encode({"exp": 2**33}, bytes(32), algorithm="HS256", headers={"kid": "one"}))
    assert (await identity.authenticate({"X-Auth-Token": token(account, kid="good")})).account_id == account.id


# PyJWT warns when the test signs with such a key.
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("bits", [1_024, 2_047])
async def test_an_rsa_key_below_2048_bits_is_rejected_and_logged(
    identity: Identity, account: Account, published: Published, bits: int
) -> None:
    weak = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
    maker: Any = jwt.get_algorithm_by_name("RS256")
    shown = json.loads(maker.to_jwk(weak.public_key()))
    published.keys = [{**shown, "kid": "weak"}, public("RS256", "strong")]
    with capture_logs() as lines:
        await rejected(identity, token(account, kid="weak", key=weak))
    assert lines == [
        {"event": "issuer key rejected", "kid": "weak", "bits": bits, "min_bits": 2_048, "log_level": "warning"}
    ]
    assert (await identity.authenticate({"X-Auth-Token": token(account, kid="strong")})).account_id == account.id


async def test_unknown_key_ids_fetch_the_keys_once_a_minute_at_most(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    await identity.authenticate({"X-Auth-Token": token(account)})
    assert published.requests == 1
    for number in range(20):
        await rejected(identity, token(account, kid=f"unknown-{number}"))
    assert published.requests == 1
    published.keys = [public("RS256", "rotated")]
    seconds.now += 61
    await identity.authenticate({"X-Auth-Token": token(account, kid="rotated")})
    assert published.requests == 2
    await rejected(identity, token(account, kid="RS256"))


async def test_a_withdrawn_key_is_rejected_after_an_hour(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    await identity.authenticate({"X-Auth-Token": token(account)})
    published.keys = []
    seconds.now += 3_601
    await rejected(identity, token(account))


@pytest.mark.parametrize(
    "response",
    [
        (500, KEYS),
        (302, KEYS),
        (200, b"not json"),
        (200, b"\xff\xfe\xff"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"[" * 200_000),
        (200, json.dumps({"keys": {"RS256": public("RS256", "RS256")}}).encode()),
        (200, b" " * 300_000 + KEYS),
    ],
    ids=["error", "redirect", "no JSON", "no text", "a list", "no keys", "deep", "keys by name", "too long"],
)
async def test_a_broken_issuer_authenticates_nobody_and_is_asked_once_a_minute(
    identity: Identity, account: Account, published: Published, response: tuple[int, bytes]
) -> None:
    published.response = response
    for _ in range(5):
        await rejected(identity, token(account))
    assert published.requests == 1


async def test_cached_keys_survive_an_outage(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    await identity.authenticate({"X-Auth-Token": token(account)})
    published.response = (500, b"")
    seconds.now += 61
    await rejected(identity, token(account, kid="unknown"))
    await identity.authenticate({"X-Auth-Token": token(account)})


async def test_an_issuer_that_does_not_respond_is_unavailable(
    identity: Identity,
    account: Account,
    published: Published,
    seconds: Seconds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def authenticate_without_response(text: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(published, "is_silent", True)
            patched.setattr(jwks_issuer, "_TIMEOUT", 0.3)
            await identity.authenticate({"X-Auth-Token": text})

    with pytest.raises(Unauthenticated, match="is unavailable"):
        await authenticate_without_response(token(account))
    seconds.now += 61
    await identity.authenticate({"X-Auth-Token": token(account)})
    seconds.now += 61
    with pytest.raises(Unauthenticated, match="not valid"):
        await authenticate_without_response(token(account, kid="unknown"))
    # The cached keys stay valid.
    await identity.authenticate({"X-Auth-Token": token(account)})
    assert published.requests == 3


async def test_concurrent_requests_fetch_the_keys_once(
    identity: Identity, account: Account, published: Published
) -> None:
    await asyncio.gather(*(identity.authenticate({"X-Auth-Token": token(account)}) for _ in range(8)))
    assert published.requests == 1


async def test_keys_are_fetched_again_after_an_hour(
    identity: Identity, account: Account, published: Published, seconds: Seconds
) -> None:
    for _ in range(3):
        await identity.authenticate({"X-Auth-Token": token(account)})
        await identity.authenticate({"X-Auth-Token": token(account)})
        seconds.now += 3_601
    assert published.requests == 3


async def test_the_issuers_clock_may_be_slightly_ahead(identity: Identity, account: Account) -> None:
    await identity.authenticate({"X-Auth-Token": token(account, iat=int(time.time()) + LEEWAY)})
    await rejected(identity, token(account, iat=int(time.time()) + 3_600))


@pytest.mark.parametrize("kid", [None, 7, ["RS256"], {}])
async def test_a_token_without_a_key_id_is_rejected(identity: Identity, account: Account, kid: Any) -> None:
    _, payload, signature = token(account).split(".")
    await rejected(identity, f"{part({'alg': 'RS256', 'kid': kid})}.{payload}.{signature}")


async def test_own_tokens_and_malformed_tokens_do_not_reach_the_issuer(
    identity: Identity, account: Account, tokens: Tokens, published: Published
) -> None:
    ours = Principal(account.id, frozenset({Scope.READ}), None, "other")
    assert await identity.authenticate({"X-Auth-Token": tokens.issue(ours)}) == ours
    for text in ("x", "a.b.c", "..", part([]) + ".e30.x"):
        await rejected(identity, text)
    assert published.requests == 0


async def test_without_an_issuer_its_tokens_are_rejected(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, account: Account
) -> None:
    await rejected(Identity(store, tokens, Credentials(store, seconds)), token(account))
