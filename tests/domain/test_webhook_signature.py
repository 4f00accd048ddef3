"""Signatures of outgoing requests, checked by the library of Standard Webhooks for receivers."""

import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.identity import ed25519
from recordings.model.errors import InvalidInput
from recordings.rules.webhook_signature import (
    MessageSignature,
    new_secret_pair,
    new_signing_key,
    new_signing_secret,
    public_key,
    read_secret_pair,
    read_signing_key,
    read_signing_secret,
    signature_headers,
)

KEYS = st.binary(min_size=24, max_size=64)


def _secret(key: bytes) -> str:
    return f"whsec_{b64encode(key).decode()}"


@given(keys=st.lists(KEYS, min_size=1, max_size=2), body=st.text(max_size=2_000), cuts=st.lists(st.integers(0, 2_000)))
def test_every_secret_verifies_the_message_however_its_body_arrives(
    keys: list[bytes], body: str, cuts: list[int]
) -> None:
    now, data = int(time.time()), body.encode()
    signature = MessageSignature(keys, "msg", now)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        signature.update(data[start:end])
    headers = signature.headers()
    whole = signature_headers([new_secret_pair(_secret(key)) for key in keys], "msg", now, data, ed25519.sign)
    assert whole["webhook-signature"].startswith(f"{headers['webhook-signature']} v1a,")
    for key in keys:
        # Its `verify` also parses the body as JSON.
        expected = Webhook(b64encode(key).decode()).sign("msg", datetime.fromtimestamp(now, UTC), body)
        assert expected in headers["webhook-signature"].split(" ")


def test_the_library_accepts_the_message_and_rejects_changes_of_it() -> None:
    secret, body, now = new_signing_secret(), b'{"a": 1}', int(time.time())
    headers = signature_headers([new_secret_pair(secret)], "msg_1", now, body, ed25519.sign)
    receiver = Webhook(secret)
    receiver.verify(body, headers)
    wrong = [
        (body + b" ", headers),
        (body, headers | {"webhook-id": "msg_2"}),
        (body, headers | {"webhook-timestamp": str(now + 1)}),
        (body, signature_headers([new_secret_pair()], "msg_1", now, body, ed25519.sign)),
        # Older than five minutes.
        (body, signature_headers([new_secret_pair(secret)], "msg_1", now - 400, body, ed25519.sign)),
    ]
    for each_body, each_headers in wrong:
        with pytest.raises(WebhookVerificationError):
            receiver.verify(each_body, each_headers)


def test_the_signature_is_the_one_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    message, at = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330
    headers = signature_headers([new_secret_pair(secret)], message, at, body, ed25519.sign)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (message, str(at))
    assert headers["webhook-signature"].startswith("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,")


@given(KEYS)
def test_a_secret_of_24_to_64_bytes_is_read(key: bytes) -> None:
    assert read_signing_secret(_secret(key)) == key


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "secret",
        b64encode(bytes(32)).decode(),
        f"WHSEC_{b64encode(bytes(32)).decode()}",
        f"whsec_{b64encode(bytes(23)).decode()}",
        f"whsec_{b64encode(bytes(65)).decode()}",
        f"whsec_{'ä' * 40}",
        f"whsec_{b64encode(bytes(32)).decode()}\n",
        f"whsk_{b64encode(bytes(32)).decode()}",
    ],
)
def test_another_secret_is_rejected_and_not_shown(secret: str) -> None:
    with pytest.raises(InvalidInput, match="24 to 64 bytes in base64") as refused:
        read_signing_secret(secret)
    assert len(secret) < 10 or secret not in str(refused.value)


@pytest.mark.parametrize("length", [31, 33, 64])
def test_a_private_key_has_32_bytes(length: int) -> None:
    text = f"whsk_{b64encode(bytes(length)).decode()}"
    with pytest.raises(InvalidInput, match="whsk_ and 32 bytes in base64") as refused:
        read_signing_key(text)
    assert text not in str(refused.value)
    with pytest.raises(InvalidInput):
        read_signing_key(new_signing_secret())


@pytest.mark.event_bar(3)
def test_bar_3_a_request_has_the_signatures_of_both_pairs_of_a_rotation() -> None:
    body, now = b'{"type": "recording.stored"}', int(time.time())
    pairs = [new_secret_pair(), new_secret_pair()]
    headers = signature_headers(pairs, "evt_1", now, body, ed25519.sign)
    signatures = headers["webhook-signature"].split(" ")
    assert [each.partition(",")[0] for each in signatures] == ["v1", "v1", "v1a", "v1a"]
    text = f"evt_1.{now}.".encode() + body
    for pair, signature in zip(pairs, signatures[2:], strict=True):
        Webhook(pair.secret).verify(body, headers)
        shown = public_key(ed25519.public_key(read_signing_key(pair.key)))
        assert shown.startswith("whpk_")
        verifier = Ed25519PublicKey.from_public_bytes(b64decode(shown.removeprefix("whpk_")))
        signed = b64decode(signature.removeprefix("v1a,"))
        verifier.verify(signed, text)
        with pytest.raises(InvalidSignature):
            verifier.verify(signed, text + b" ")
    # The library knows no Ed25519, so it rejects a request with these signatures only.
    with pytest.raises(WebhookVerificationError):
        Webhook(pairs[0].secret).verify(body, headers | {"webhook-signature": " ".join(signatures[2:])})


def test_a_pair_is_stored_as_text_and_not_shown() -> None:
    pair = new_secret_pair()
    assert read_secret_pair(pair.text) == pair
    assert pair.secret not in repr(pair)
    assert pair.key not in repr(pair)
    for text in (pair.secret, pair.key, f"{pair.key} {pair.secret}", f"{pair.text} {pair.key}", ""):
        with pytest.raises(InvalidInput):
            read_secret_pair(text)


def test_the_ed25519_signature_is_that_of_rfc_8032() -> None:
    # RFC 8032, section 7.1, test 3.
    key = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    assert ed25519.public_key(key).hex() == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    assert ed25519.sign(key, bytes.fromhex("af82")).hex().startswith("6291d657deec24024827e69c3abe01a30ce548a284743a44")


def test_each_new_secret_is_another_one() -> None:
    assert len({new_signing_secret() for _ in range(100)} | {new_signing_key() for _ in range(100)}) == 200
