"""The real service, which tests kill, and one node with real parts."""

import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from adapters.audio import AudioWorkers
from tests.faults.killable_installation import Installation
from tests.faults.real_node import Node
from tests.servers.customer_server import Customer
from tests.servers.seaweedfs import BUCKET


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    audio_workers = AudioWorkers(tmp_path / "work", workers=1)
    made = Node(tmp_path, audio_workers)
    await made.store.open()
    yield made
    await made.store.close()
    await audio_workers.close()


@pytest.fixture
def customer() -> Iterator[Customer]:
    customer = Customer()
    customer.start()
    yield customer
    customer.stop()


@pytest.fixture(params=["sqlite and a folder", "mongodb and s3"])
def installation(request: pytest.FixtureRequest, tmp_path: Path, customer: Customer) -> Iterator[Installation]:
    variables: Mapping[str, str] = {}
    if request.param == "mongodb and s3":
        database = request.getfixturevalue("mongodb_database")
        store = request.getfixturevalue("seaweedfs")
        variables = {
            "RECORDINGS_MONGODB": request.getfixturevalue("mongodb_uri").replace("/?", f"/{database}?"),
            "RECORDINGS_MEDIA": f"s3://{BUCKET}/killed/{uuid.uuid4().hex}",
            "FSSPEC_S3_ENDPOINT_URL": store["s3"], "FSSPEC_S3_KEY": store["key"], "FSSPEC_S3_SECRET": store["secret"],
        }  # fmt: skip
    made = Installation(tmp_path, customer, **variables)
    yield made
    made.close()
