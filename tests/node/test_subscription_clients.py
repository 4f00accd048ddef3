"""Published JavaScript clients that subscribe, lose their connection and continue. One Node process runs them all."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.node.live_server import run, served

OVER_SOCKETS: Final = {"graphqlWs", "apolloWs", "urql", "relay"}
OVER_HTTP: Final = {"sseDistinct", "sseSingle", "eventSource", "apolloMultipart", "urqlFetch", "relayMultipart"}


@pytest.mark.event_bar(4)
async def test_no_client_misses_a_change_or_gets_one_twice_when_its_connection_breaks(
    folder: Path, tmp_path: Path
) -> None:
    async with served(tmp_path / "installation", len(OVER_SOCKETS | OVER_HTTP)) as (url, ids):
        options = json.dumps({"url": url, "recordings": ids})
        said = await run(folder, "node", "clients/run.mjs", options, "subscriptions")
    results: dict[str, Any] = json.loads(said.splitlines()[-1])["subscriptions"]
    assert results.keys() == OVER_SOCKETS | OVER_HTTP, results
    for name, result in results.items():
        assert len(result["expected"]) == 9
        assert result["got"] == result["expected"], name
