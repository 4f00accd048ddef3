"""An account that keeps a server busy does not delay another account."""

import json
from pathlib import Path

from tests.e2e.server import Server, until
from tests.e2e.sound import opus_silence, wav
from tests.e2e.tenants import Tenant, add_due_purges, ask, make_tenants, upload


def states(server: Server, tenant: Tenant) -> list[str]:
    """Return the states of the account's recordings, the newest first."""
    found = json.loads(ask(server.port, tenant.token, b'{"query": "{ recordings(first: 50) { nodes { state } } }"}'))
    return [node["state"] for node in found["data"]["recordings"]["nodes"]]


def store(server: Server, tenant: Tenant, call_id: str = "call") -> None:
    """Upload a short file and wait until it is stored."""
    assert upload(server.port, tenant.addresses[0], call_id, wav(1))[0] == 201
    until(lambda: states(server, tenant)[0] == "STORED")


def test_a_short_file_is_stored_before_the_long_files_of_another_account(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        tenants = make_tenants(server.data)
        silence = opus_silence(3 * 3_600)
        for number in range(4):
            # To both of its ingest addresses.
            address = tenants["A"].addresses[number % 2]
            assert upload(server.port, address, f"long{number}", silence, "opus")[0] == 201
        store(server, tenants["B"])
        assert states(server, tenants["A"]) == ["FINALIZING"] * 4
        # Short files of the busy account do not wait for its long ones, either.
        store(server, tenants["A"])
        assert states(server, tenants["A"])[1:] == ["FINALIZING"] * 4


def test_an_upload_after_a_restart_does_not_wait_for_due_purges(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        tenants = make_tenants(server.data)
        server.stop()
        add_due_purges(server.data, tenants["A"].account_id, 1_500)
        server.start()
        store(server, tenants["B"])
        store(server, tenants["A"])
        left = server.client(tenants["A"].token).ids(trashed=True)
        assert left
        # The purges go on.
        until(lambda: server.client(tenants["A"].token).ids(trashed=True) != left)
