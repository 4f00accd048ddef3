"""The signatures of webhooks, checked by the npm library of Standard Webhooks and by Node's crypto."""

import json
import time
from pathlib import Path

import pytest

from adapters.identity import ed25519
from recordings.rules.webhook_signature import new_secret_pair, public_key, read_signing_key, signature_headers
from tests.node.live_server import run


@pytest.mark.event_bar(3)
async def test_bar_3_node_verifies_both_kinds_of_signatures_during_a_rotation(folder: Path) -> None:
    pairs = [new_secret_pair(), new_secret_pair()]
    stranger = new_secret_pair()
    body = '{"type":"recording.stored","data":{"label":"Grüße"}}'
    headers = signature_headers(pairs, "evt_1", int(time.time()), body.encode(), ed25519.sign)
    keys = [public_key(ed25519.public_key(read_signing_key(pair.key))) for pair in (*pairs, stranger)]
    request = {
        "secrets": [pair.secret for pair in (*pairs, stranger)], "publicKeys": keys, "headers": headers, "body": body,
    }  # fmt: skip
    found = json.loads(await run(folder, "node", "webhook.mjs", json.dumps(request)))
    assert found == {
        "hmac": ["recording.stored", "recording.stored", "No matching signature found"],
        "ed25519": [True, True, False],
    }
    changed = json.loads(await run(folder, "node", "webhook.mjs", json.dumps({**request, "body": body + " "})))
    assert changed == {"hmac": ["No matching signature found"] * 3, "ed25519": [False] * 3}
