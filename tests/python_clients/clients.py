"""Published Python clients against a live server: python clients.py URL TOKEN.

They need an older graphql-core than the service, so they run in an environment of their own.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

URL, TOKEN = sys.argv[1:]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PAGE = """query Page($first: Int, $after: String) { recordings(first: $first, after: $after) {
    nodes { plainId start durationMs } pageInfo { endCursor hasNextPage } } }"""
BIN = Path(sys.executable).parent


def with_sgqlc() -> dict[str, Any]:
    """Page with the Python classes that sgqlc makes of the schema."""
    introspection = ["-m", "sgqlc.introspection", "-H", f"Authorization: Bearer {TOKEN}"]
    subprocess.run([sys.executable, *introspection, URL, "introspection.json"], check=True)
    subprocess.run([BIN / "sgqlc-codegen", "schema", "introspection.json", "sgqlc_schema.py"], check=True)
    schema: Any = importlib.import_module("sgqlc_schema")
    endpoint_class: Any = importlib.import_module("sgqlc.endpoint.http").HTTPEndpoint
    operation_class: Any = importlib.import_module("sgqlc.operation").Operation
    endpoint = endpoint_class(URL, HEADERS)
    forward, after = [], None
    while True:
        operation = operation_class(schema.Query)
        page = operation.recordings(first=4, after=after)
        page.nodes.__fields__("plain_id", "start")
        page.page_info.__fields__("end_cursor", "has_next_page")
        found = (operation + endpoint(operation)).recordings
        forward += [node.plain_id for node in found.nodes]
        if not found.page_info.has_next_page:
            return {"forward": forward}
        after = found.page_info.end_cursor


def with_ariadne_codegen() -> dict[str, Any]:
    """Page with the typed client that ariadne-codegen generates."""
    Path("page.graphql").write_text(PAGE, encoding="utf-8")
    settings = {
        "remote_schema_url": URL,
        "queries_path": "page.graphql",
        "target_package_name": "ariadne_client",
        "async_client": False,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    header = f'remote_schema_headers = {{"Authorization" = "Bearer {TOKEN}"}}'
    scalars = [f'[tool.ariadne-codegen.scalars.{name}]\ntype = "str"' for name in ("DateTime", "URL", "Sha256")]
    text = "\n".join(["[tool.ariadne-codegen]", *lines, header, *scalars])
    Path("ariadne.toml").write_text(text, encoding="utf-8")
    subprocess.run([BIN / "ariadne-codegen", "--config", "ariadne.toml"], check=True, stdout=subprocess.DEVNULL)
    client: Any = importlib.import_module("ariadne_client").Client(url=URL, headers=HEADERS)
    forward, after = [], None
    while True:
        page = client.page(first=4, after=after).recordings
        forward += [node.plain_id for node in page.nodes]
        if not page.page_info.has_next_page:
            return {"forward": forward}
        after = page.page_info.end_cursor


sys.path.insert(0, str(Path.cwd()))
json.dump({"sgqlc": with_sgqlc(), "ariadne-codegen": with_ariadne_codegen()}, sys.stdout)
