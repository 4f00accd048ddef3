"""Policy documents in every store."""

import asyncio
from dataclasses import replace
from typing import Any

from recordings.model.account import IngestAddress
from recordings.model.call import Network
from recordings.model.policy_trace import ConsentNeed, Fill
from recordings.model.recording import Direction
from recordings.model.recording_policy import DocumentKind, Duplicates, Lock, LockKind, PolicyDocument, PolicyRules
from recordings.ports.recording_store import MetadataStore
from tests.contract.metadata.samples import NOW

RULES = PolicyRules(
    (Lock(LockKind.NEVER, Direction.INBOUND, Network.OFFNET, ("+49*",), ("112",)), Lock(LockKind.FORCE)),
    ConsentNeed.ALL_PARTIES,
    Duplicates.SEPARATE,
)
BODY: dict[str, Any] = {
    "z.y": {"$set": [1, None, 1.5]},
    "call_recording": {"account": {"any": {"any": {"enabled": True}}}},
    "a": 2**80,
    "": "nul\0",
    "text": "Zoë \U0001f600",
}
ACCOUNT = PolicyDocument(
    account_id="a",
    kind=DocumentKind.ACCOUNT,
    id="a",
    body=BODY,
    fill=Fill.INHERIT,
    rules=RULES,
    revision=1,
    modified=NOW,
)


async def find(store: MetadataStore, *names: tuple[DocumentKind, str], account_id: str = "a") -> set[str]:
    return {document.id for document in await store.policy_documents(account_id, names)}


async def test_a_document_is_returned_as_it_was_written(store: MetadataStore) -> None:
    assert await store.save_policy_document(ACCOUNT)
    (found,) = await store.policy_documents("a", [(DocumentKind.ACCOUNT, "a")])
    assert found == ACCOUNT
    assert list(found.body) == list(BODY)


async def test_documents_are_found_by_account_kind_and_id(store: MetadataStore) -> None:
    for kind, identity in ((DocumentKind.USER, "u"), (DocumentKind.DEVICE, "d"), (DocumentKind.DEVICE, "u")):
        await store.save_policy_document(replace(ACCOUNT, kind=kind, id=identity))
    assert await find(store) == set()
    assert await find(store, (DocumentKind.USER, "u"), (DocumentKind.DEVICE, "d"), (DocumentKind.ACCOUNT, "a")) == {
        "u",
        "d",
    }
    assert await find(store, (DocumentKind.USER, "d")) == set()
    assert await find(store, (DocumentKind.USER, "u"), account_id="b") == set()
    assert [found.id for found in await store.documents_of_kind("a", DocumentKind.DEVICE)] == ["d", "u"]
    assert [found.id for found in await store.documents_of_kind("a", DocumentKind.DEVICE, limit=1)] == ["d"]


async def test_only_the_next_revision_is_saved(store: MetadataStore) -> None:
    assert not await store.save_policy_document(replace(ACCOUNT, revision=2))
    assert await store.save_policy_document(ACCOUNT)
    assert not await store.save_policy_document(ACCOUNT)
    changed = [replace(ACCOUNT, revision=2, body={"by": number}) for number in range(8)]
    saved = await asyncio.gather(*map(store.save_policy_document, changed))
    assert saved.count(True) == 1
    (found,) = await store.policy_documents("a", [(DocumentKind.ACCOUNT, "a")])
    assert found == changed[saved.index(True)]


async def test_an_ingest_address_keeps_whether_it_records_every_call(store: MetadataStore) -> None:
    for record_all in (True, False):
        address = IngestAddress(f"i{record_all}", "a", "hash", NOW, record_all=record_all)
        await store.add_ingest(address)
        assert await store.ingest_address(address.id) == address
    assert [found.record_all for found in await store.ingest_addresses("a")] == [False, True]
