"""Published JavaScript clients, gateways and code generators against a live server. One Node process runs them all."""

import json
from pathlib import Path
from typing import Any, Final

from graph.graphql_app import GraphQLSettings
from graph.schema.global_id import RECORDING, global_id
from tests.node.live_server import run, served

CLIENTS: Final = (
    "apollo", "urql", "graphqlRequest", "villus", "federation", "stitching", "codegen", "inspector", "tada", "houdini"
)  # fmt: skip
COUNT: Final = 11


async def test_published_clients_page_and_show_errors(folder: Path, tmp_path: Path) -> None:
    async with (
        served(tmp_path / "installation", COUNT) as (url, ids),
        served(tmp_path / "limited", 1, GraphQLSettings(burst=9, per_second=1)) as (limited, _),
    ):
        options = {"url": url, "limited": limited, "token": "me", "ids": ids, "spare": ids[-1]}
        options["global"] = [global_id(RECORDING, each) for each in ids]
        said = await run(folder, "node", "clients/run.mjs", json.dumps(options), *CLIENTS)
    results: dict[str, Any] = json.loads(said.splitlines()[-1])
    # urql deletes the oldest recording; the clients after it see the others.
    rest = ids[:-1]
    assert results == {
        "apollo": {
            "forward": ids,
            "backward": ids,
            "merged": True,
            "unauthenticated": "UNAUTHENTICATED",
            "limited": "RATE_LIMITED",
        },
        "urql": {
            "forward": ids,
            "backward": ids,
            "warnings": [],
            "deleted": "TRASHED",
            "unauthenticated": "UNAUTHENTICATED",
        },
        "graphqlRequest": {"forward": rest, "unauthenticated": "UNAUTHENTICATED"},
        "villus": {"forward": rest, "unauthenticated": "UNAUTHENTICATED"},
        "federation": {"forward": ids, "reviewed": [f"heard {global_id(RECORDING, each)}" for each in ids[:3]]},
        # 50 recordings in one document, with an alias for each.
        "stitching": {"forward": ids, "count": 50, "requests": 1},
        "codegen": {"typed": True},
        "inspector": {"valid": True},
        "tada": {"typed": True},
        "houdini": {"forward": rest},
    }
