"""What `/readyz`, the log and `reasonDetail` say about stores that do not work."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server import Server, until
from tests.servers.free_ports import free_port
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address

QUERY = "query { recordings(first: 20) { nodes { state reasonDetail } } }"


def readiness(server: Server) -> httpx.Response:
    return httpx.get(f"{server.url}/readyz")


def faulty_variables(kind: str, store: Address) -> dict[str, str]:
    key, secret, endpoint = store["key"], store["secret"], store["s3"]
    if kind == "wrong secret":
        secret = "wrong"
    elif kind == "wrong key":
        key = "nobody"
    elif kind == "unreachable":
        endpoint = f"http://127.0.0.1:{free_port()}"
    variables = {"FSSPEC_S3_ENDPOINT_URL": endpoint, "FSSPEC_S3_KEY": key, "FSSPEC_S3_SECRET": secret}
    return variables | {"RECORDINGS_MEDIA": f"s3://{BUCKET}/health"}


@pytest.mark.parametrize(
    ("kind", "warning", "words"),
    [
        ("wrong secret", "rejects the credentials", "credentials"),
        ("wrong key", "rejects the credentials", "credentials"),
        ("unreachable", "unreachable or reports an error", "unreachable"),
    ],
)
def test_a_media_store_that_rejects_everything_is_reported_in_words(
    tmp_path: Path, seaweedfs: Address, kind: str, warning: str, words: str
) -> None:
    with Server(tmp_path / "data", "--demo", **faulty_variables(kind, seaweedfs)) as server:
        found = until(lambda: readiness(server).json().get("warnings"))
        assert warning in found["media"]
        assert readiness(server).status_code == 200
        assert readiness(server).json()["parts"]["media"] == "warning"
        client = server.client(server.shown_token())

        def details() -> list[str]:
            nodes: list[dict[str, Any]] = client.graphql(QUERY)["recordings"]["nodes"]
            assert {node["state"] for node in nodes} == {"FINALIZING"}
            texts = [node["reasonDetail"] for node in nodes]
            return texts if all(texts) else []

        for text in until(details):
            assert words in text
            assert "Error:" not in text
        log = server.log.read_text()
        assert "Traceback" not in log
        assert log.count("step failed") == 1
        assert log.count("media store failing") == 1
        assert seaweedfs["secret"] not in log
