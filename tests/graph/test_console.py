"""The console: its page, the size of its files, its texts and its queries."""

import gzip
import re
from pathlib import Path
from typing import Final

import httpx
import pytest
from graphql import build_schema, parse, validate
from graphql.type import GraphQLEnumType
from starlette.applications import Starlette

from graph import console
from graph.schema.build import sdl

SOURCE: Final = Path(__file__).parents[2] / "scripts" / "console" / "src"
MODULES: Final = {path.name: path.read_text(encoding="utf-8") for path in sorted(SOURCE.glob("*.js*"))}
TEXTS: Final = dict(re.findall(r"""^  "?([\w.-]+)"?:\s+["'](.+)["'],$""", MODULES["texts.js"], re.MULTILINE))
DOCUMENTS: Final = {
    re.search(r"(?:query|mutation|subscription) (\w+)", found)[1]: found  # type: ignore[index]
    for module in MODULES.values()
    for found in re.findall(r"/\* GraphQL \*/ `(.+?)`", module, re.DOTALL)
}
SCHEMA: Final = build_schema(sdl())
MAX_BYTES: Final = 100_000
"""The size of the console's files, compressed. Preact, wavesurfer.js and uPlot are about half of it."""
WORDS: Final = {
    "state": "RecordingState",
    "reason": "RecordingReason",
    "end": "RecordingEndCause",
    "direction": "CallDirection",
    "network": "CallNetwork",
    "span": "SpanKind",
    "delivery": "DeliveryState",
    "consent": "RecordingConsentState",
    "decision": "RecordingDecision",
    "source": "RecordingPolicySource",
    "event": "RecordingEventType",
    "audit": "AuditAction",
    "actor": "AuditActorKind",
    "outcome": "AuditOutcome",
    "way": "AuditWay",
    "webhook": "WebhookFormat",
    "disabled": "WebhookDisabledReason",
}
"""The texts of enums: the beginning of their keys, and the enum of the schema."""


async def loaded(path: str, *, public_url: str | None = None, presigns: bool = False) -> httpx.Response:
    app = Starlette(routes=console.routes(public_url=public_url, presigns=presigns))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        return await client.get(path)


async def test_the_page_loads_files_of_this_service_only() -> None:
    response = await loaded("/console")
    names = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    assert names == ["data:,", "console/console.css", "console/console.js"]
    for name in names[1:]:
        # The paths are relative, so they work behind a proxy that adds a prefix.
        assert (await loaded(f"/{name}")).status_code == 200
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "//" not in policy
    assert "media-src 'self';" in policy
    style = (await loaded("/console/console.css")).text
    assert "url(" not in style
    assert "@import" not in style


async def test_each_page_has_another_nonce() -> None:
    pages = [await loaded("/console") for _ in range(2)]
    nonces = [re.findall(r"nonce-([\w-]{22})'", page.headers["content-security-policy"])[0] for page in pages]
    assert nonces[0] != nonces[1]
    assert [re.findall(r'nonce="([^"]+)"', page.text) for page in pages] == [[nonce] for nonce in nonces]


async def test_audio_may_come_from_where_the_service_sends_players() -> None:
    named = await loaded("/console", public_url="https://calls.example.org/rec/")
    assert "media-src 'self' https://calls.example.org;" in named.headers["content-security-policy"]
    presigned = await loaded("/console", presigns=True)
    assert "media-src https: http:;" in presigned.headers["content-security-policy"]


async def test_no_other_page_can_embed_it() -> None:
    headers = (await loaded("/console")).headers
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_files_are_small_and_have_their_licences() -> None:
    sizes = {name: len(console.FILES.compressed(name)) for name in console.FILES.names}
    print(f"the console has {sum(sizes.values()):,} bytes, compressed: {sizes}")  # noqa: T201 - pytest -s shows it
    assert sum(sizes.values()) < MAX_BYTES
    licences = gzip.decompress(console.FILES.compressed("licences.txt")).decode()
    named = dict(re.findall(r"^== (\S+) \S+ \((.+)\)$", licences, re.MULTILINE))
    assert named["preact"] == "MIT"
    assert set(named.values()) <= {"MIT", "BSD-3-Clause"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_query_is_one_of_the_public_schema(name: str) -> None:
    assert validate(SCHEMA, parse(DOCUMENTS[name])) == []


def test_each_text_exists_once_and_is_used() -> None:
    """Texts of enums and of choices have computed keys, such as `list.in.${kind}`."""
    assert len(TEXTS) == len(re.findall(r"^  \S+:\s", MODULES["texts.js"], re.MULTILINE))
    sources = "".join(source for name, source in MODULES.items() if name != "texts.js")
    used = set(re.findall(r'"([a-zA-Z]+(?:\.[\w-]+)*)"', sources))
    computed = (*re.findall(r"text\(`([\w.]+)\.\$\{", sources), *WORDS, "error")
    assert [
        key for key in TEXTS if key not in used and not key.startswith(tuple(f"{each}." for each in computed))
    ] == []
    asked = re.findall(r'text\("([\w.-]+)"', sources)
    assert [key for key in asked if key not in TEXTS] == []


def test_no_text_is_in_another_module() -> None:
    """A component has text between its tags only in braces."""
    found = {
        name: texts
        for name, source in MODULES.items()
        if name.endswith(".jsx") and (texts := re.findall(r"<[a-z]\w*[^<>]*[^=]>\s*([A-Za-z]{3,}[^<{]*)<", source))
    }
    assert found == {}


@pytest.mark.parametrize("kind", WORDS)
def test_each_value_of_an_enum_has_a_text(kind: str) -> None:
    enum = SCHEMA.type_map[WORDS[kind]]
    assert isinstance(enum, GraphQLEnumType)
    assert [value for value in enum.values if f"{kind}.{value}" not in TEXTS] == []
