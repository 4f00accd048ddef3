"""The JavaScript examples of docs/clients.md, in one Node process against a live server."""

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.node.live_server import served

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
RUN = "for (const file of process.argv.slice(1)) await import(file); process.exit(0);"


@asynccontextmanager
async def changing(url: str, recording_id: str) -> AsyncIterator[None]:
    """Change a recording again and again, until the end of the block."""

    async def change() -> None:
        async with httpx.AsyncClient(headers={"authorization": "Bearer me"}) as http:
            for number in itertools.count():
                label = (
                    f'updateRecording(input: {{ id: "{recording_id}", label: "{number}" }}) {{ recording {{ id }} }}'
                )
                await http.post(url, json={"query": f"mutation {{ {label} }}"})
                await asyncio.sleep(0.05)

    task = asyncio.create_task(change())
    try:
        yield
    finally:
        task.cancel()


async def test_every_javascript_example_runs(folder: Path, tmp_path: Path) -> None:
    examples = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 11
    # Other examples import one by its name.
    names = [
        "resuming.mjs" if example.startswith("// resuming.mjs") else f"example{number}.mjs"
        for number, example in enumerate(examples)
    ]
    for name, example in zip(names, examples, strict=True):
        (folder / name).write_text(example, encoding="utf-8")
    async with served(tmp_path / "installation", 5) as (url, ids), changing(url, ids[0]):
        process = await asyncio.create_subprocess_exec(
            "node", "--input-type=module", "-e", RUN, *(f"./{name}" for name in names),
            cwd=folder,
            env={**os.environ, "RECORDINGS_URL": url.removesuffix("/graphql"), "RECORDINGS_TOKEN": "me"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()
    clients = [f"{name} AMENDED" for name in ("graphql-ws", "graphql-sse", "Apollo", "urql", "Relay")]
    wanted = ["INVALID_INPUT", "2", "parent", "true", *clients]
    assert [line for line in said.decode().splitlines() if line in wanted] == wanted, said.decode()
    assert (folder / "made" / "graphql.ts").exists()
