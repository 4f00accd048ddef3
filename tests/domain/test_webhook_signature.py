"""Signatures of outgoing requests, checked by the library of Standard Webhooks for receivers."""

import time
from base64 import b64encode
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from recordings.model.errors import InvalidInput
from recordings.rules.webhook_signature import (
    MessageSignature,
    new_signing_secret,
    read_signing_secret,
    signature_headers,
)

KEYS = st.binary(min_size=24, max_size=64)


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
    assert headers == signature_headers(keys, "msg", now, data)
    for key in keys:
        # Its `verify` also parses the body as JSON.
        expected = Webhook(b64encode(key).decode()).sign("msg", datetime.fromtimestamp(now, UTC), body)
        assert expected in headers["webhook-signature"].split(" ")


def test_the_library_accepts_the_message_and_rejects_changes_of_it() -> None:
    secret, body, now = new_signing_secret(), b'{"a": 1}', int(time.time())
    headers = signature_headers([read_signing_secret(secret)], "msg_1", now, body)
    receiver = Webhook(secret)
    receiver.verify(body, headers)
    wrong = [
        (body + b" ", headers),
        (body, headers | {"webhook-id": "msg_2"}),
        (body, headers | {"webhook-timestamp": str(now + 1)}),
        (body, signature_headers([read_signing_secret(new_signing_secret())], "msg_1", now, body)),
        # Older than five minutes.
        (body, signature_headers([read_signing_secret(secret)], "msg_1", now - 400, body)),
    ]
    for each_body, each_headers in wrong:
        with pytest.raises(WebhookVerificationError):
            receiver.verify(each_body, each_headers)


def test_the_signature_is_the_one_of_the_specification() -> None:
    key = read_signing_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(KEYS)
def test_a_secret_of_24_to_64_bytes_is_read(key: bytes) -> None:
    assert read_signing_secret(f"whsec_{b64encode(key).decode()}") == key


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


def test_each_new_secret_is_another_one() -> None:
    assert len({new_signing_secret() for _ in range(100)}) == 100
