"""The JavaScript examples of docs/clients.md, in one Node process against a live server."""

import asyncio
import os
import re
from pathlib import Path

from tests.node.live_server import served

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
RUN = "for (const file of process.argv.slice(1)) await import(file); process.exit(0);"


async def test_every_javascript_example_runs(folder: Path, tmp_path: Path) -> None:
    examples = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 5
    for number, example in enumerate(examples):
        (folder / f"example{number}.mjs").write_text(example, encoding="utf-8")
    async with served(tmp_path / "installation", 5) as (url, _):
        process = await asyncio.create_subprocess_exec(
            "node", "--input-type=module", "-e", RUN, *(f"./example{number}.mjs" for number in range(len(examples))),
            cwd=folder,
            env={**os.environ, "RECORDINGS_URL": url.removesuffix("/graphql"), "RECORDINGS_TOKEN": "me"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()
    shown = [line for line in said.decode().splitlines() if line in {"INVALID_INPUT", "2", "parent", "true"}]
    assert shown == ["INVALID_INPUT", "2", "parent", "true"], said.decode()
    assert (folder / "made" / "graphql.ts").exists()
