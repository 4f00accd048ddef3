"""Documents are kept by bytes, with their plans, which are made once for each way to skip and go with their classes."""

import gc
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from graph.execution import compiler
from graph.execution.column_values import instant_texts
from graph.execution.document_cache import DocumentCache
from graph.execution.executor import CompiledExecutor
from graph.execution.plan_cache import MAX_PLANS
from graph.execution.request_errors import RefusedDocumentError
from graph.schema.build import Schema
from recordings.model.instants import EARLIEST, LATEST, to_iso
from tests.graph.execution.differential import context, run

SCHEMA = Schema()


def documents(**choices: Any) -> DocumentCache:
    return DocumentCache(schema=SCHEMA.core, compiler=SCHEMA.documents.compiler, **choices)


async def execute(node: Any, **variables: Any) -> Any:
    asker = context(Random(3), 0.0)
    return (await run(CompiledExecutor, node, variables, asker)).data


def test_a_text_is_read_once_and_found_again() -> None:
    kept = documents()
    assert kept.find("{ __typename }") is kept.find("{ __typename }")
    assert len(kept) == 1


def test_what_is_refused_is_not_kept() -> None:
    kept = documents()
    for text in ("{", "{ nothing }", "{ " + "a: __typename " * 50 + "}"):
        with pytest.raises(RefusedDocumentError):
            kept.find(text)
    assert (len(kept), kept.bytes) == (0, 0)


def test_the_oldest_make_room_and_lose_their_names() -> None:
    kept = documents(max_bytes=20_000)
    named = sha256(b"{ __typename }").hexdigest()
    assert kept.register_text("{ __typename }", "0" * 64) is None
    assert kept.register_text("{ __typename }", named) is kept.find_by_name(named)
    texts = [f"{{ __typename }} # {number}" for number in range(50)]
    for text in texts:
        kept.find(text)
        assert kept.bytes <= 20_000
    assert len(kept) < 50
    assert kept.find_by_name(named) is None


async def test_plans_weigh_and_go_with_their_document_and_its_classes() -> None:
    kept = documents(max_bytes=40_000)
    before = len(compiler._structs)
    for number in range(20):
        document = kept.find(f"{{ recordings(first: 1) {{ nodes {{ only{number}: plainId }} }} }}")
        await execute(document.node)
        assert kept.bytes <= 40_000
    del document
    gc.collect()
    assert len(kept) < 3
    assert len(compiler._structs) - before < 4


async def test_each_way_to_skip_has_a_plan_and_there_is_a_most() -> None:
    names = [f"s{number}" for number in range(7)]
    fields = " ".join(f"{name}: plainId @include(if: ${name})" for name in names)
    head = ", ".join(f"${name}: Boolean!" for name in names)
    document = documents().find(f"query({head}) {{ recordings(first: 1) {{ nodes {{ __typename {fields} }} }} }}")
    for ways in range(MAX_PLANS + 10):
        await execute(document.node, **{name: bool(ways >> at & 1) for at, name in enumerate(names)})
        assert len(document.node.plans._plans) <= MAX_PLANS
    assert len(document.node.plans._plans) == 10


@pytest.mark.parametrize("at", [0, -1, 1, 59_999, 60_000, -60_001, EARLIEST, LATEST, 1_795_336_461_123])
def test_an_instant_reads_the_same_either_way(at: int) -> None:
    assert instant_texts([at]) == [to_iso(at)]


def test_an_instant_beyond_the_calendar_is_refused_either_way() -> None:
    for at in (EARLIEST - 1, LATEST + 1):
        with pytest.raises((ValueError, OverflowError)):
            instant_texts([at])
