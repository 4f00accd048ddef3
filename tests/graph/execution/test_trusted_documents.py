"""Trusted documents: the files of client tools, and requests that use their ids."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.execution import trusted_documents as trusted
from graph.execution.trusted_documents import TrustedDocument, TrustedFileError, read_trusted
from graph.graphql_app import GraphQLSettings
from tests.graph.api import URL, Api, open_api

VIEWER = "query Viewer { viewer { name } }"
TYPE = "query Type {\n  __typename\n}\n"
MD5, SHA1, SHA256 = (hashlib.new(name, VIEWER.encode()).hexdigest() for name in ("md5", "sha1", "sha256"))
APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": SHA256, "name": "Viewer", "type": "query", "body": VIEWER}],
}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


async def post(api: Api, **body: Any) -> httpx.Response:
    return await api.http.post(URL, json=body, headers={"authorization": "Bearer me"})


@pytest.mark.parametrize("id", [MD5, SHA1, f"sha256:{SHA256}", f"sha256:{'e' * 64}", SHA256, "Viewer/1"])
async def test_a_map_of_ids_to_texts_is_read(tmp_path: Path, id: str) -> None:
    documents = read_trusted(write(tmp_path / "documents.json", {id: VIEWER}))
    assert documents == (TrustedDocument(id, VIEWER),)
    async with open_api(tmp_path / "api", GraphQLSettings(trusted=documents, only_trusted=True)) as api:
        for _ in range(2):
            for name in (id, SHA256, f"sha256:{SHA256}"):
                assert (await post(api, documentId=name)).json()["data"] == {"viewer": {"name": "tester"}}
        assert (await post(api, query=VIEWER)).status_code == 200
        assert (await post(api, query=VIEWER, documentId=id)).status_code == 200
        assert (await post(api, query=VIEWER + " ")).json()["errors"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
        assert (await post(api, documentId="f" * 32)).status_code == 400


async def test_a_request_may_have_the_id_and_the_text(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(trusted=(TrustedDocument(MD5, VIEWER),))) as api:
        assert "data" in (await post(api, query=VIEWER, documentId=MD5)).json()
        other = await post(api, query=TYPE, documentId=MD5)
        assert other.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_HASH_MISMATCH"


async def test_an_apollo_manifest_is_read(tmp_path: Path) -> None:
    documents = read_trusted(write(tmp_path / "manifest.json", APOLLO))
    assert documents == (TrustedDocument(SHA256, VIEWER),)
    async with open_api(tmp_path / "api", GraphQLSettings(trusted=documents, register=False)) as api:
        answer = await post(api, extensions={"persistedQuery": {"version": 1, "sha256Hash": SHA256}})
        assert answer.json()["data"] == {"viewer": {"name": "tester"}}


async def test_a_folder_with_all_formats_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.json", APOLLO)
    write(tmp_path / "b.json", {MD5: VIEWER})
    write(tmp_path / "c.graphql", TYPE)
    write(tmp_path / "README.md", "not a document")
    documents = read_trusted(tmp_path)
    assert set(documents) == {
        TrustedDocument(SHA256, VIEWER), TrustedDocument(MD5, VIEWER), TrustedDocument(None, TYPE)
    }  # fmt: skip
    async with open_api(tmp_path / "api", GraphQLSettings(trusted=documents, only_trusted=True)) as api:
        by_hash = await post(api, documentId=hashlib.sha256(TYPE.encode()).hexdigest())
        assert by_hash.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", "{", "truncated"),
        ("a.json", ["{ a }"], "neither a JSON map of ids to texts"),
        ("a.json", {"a": 1}, "neither a JSON map of ids to texts"),
        ("a.json", APOLLO | {"version": 2}, "has version 2: only version 1"),
        ("a.json", APOLLO | {"operations": [{"id": "a"}]}, "neither a JSON map of ids to texts"),
        ("a.json", {"": "{ a }"}, "has 0 characters: 1 to 128"),
        ("a.json", {"x" * 129: "{ a }"}, "has 129 characters: 1 to 128"),
        ("b.json", {"a": "{ b }"}, "the id a has two different texts"),
        ("c.graphql", "x" * 101, "at most 100 bytes"),
    ],
)
def test_an_unusable_file_is_reported_with_the_reason(
    tmp_path: Path, name: str, content: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "bytes" in reason:
        monkeypatch.setattr(trusted, "MAX_BYTES", 100)
    write(tmp_path / "a.json", {"a": "{ a }"})
    path = write(tmp_path / name, content)
    with pytest.raises(TrustedFileError, match=reason) as wrong:
        read_trusted(tmp_path)
    assert str(path) in str(wrong.value)


def test_a_path_without_documents_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.json"):
        with pytest.raises(TrustedFileError, match=str(path)):
            read_trusted(path)
