"""The document cache: its size in bytes, its names, and the plans and classes that are dropped with a document."""

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
    caller = context(Random(3), 0.0)
    return (await run(CompiledExecutor, node, variables, caller)).data


def test_a_text_is_read_once() -> None:
    cache = documents()
    assert cache.find("{ __typename }") is cache.find("{ __typename }")
    assert len(cache) == 1


def test_a_rejected_document_is_not_cached() -> None:
    cache = documents()
    for text in ("{", "{ nothing }", "{ " + "a: __typename " * 50 + "}"):
        with pytest.raises(RefusedDocumentError):
            cache.find(text)
    assert (len(cache), cache.bytes) == (0, 0)


def test_the_least_recently_used_documents_are_dropped_with_their_names() -> None:
    cache = documents(max_bytes=20_000)
    named = sha256(b"{ __typename }").hexdigest()
    assert cache.register_text("{ __typename }", "0" * 64) is None
    assert cache.register_text("{ __typename }", named) is cache.find_by_name(named)
    texts = [f"{{ __typename }} # {number}" for number in range(50)]
    for text in texts:
        cache.find(text)
        assert cache.bytes <= 20_000
    assert len(cache) < 50
    assert cache.find_by_name(named) is None


async def test_plans_count_and_are_dropped_with_their_document_and_classes() -> None:
    cache = documents(max_bytes=40_000)
    before = len(compiler._structs)
    for number in range(20):
        document = cache.find(f"{{ recordings(first: 1) {{ nodes {{ only{number}: plainId }} }} }}")
        await execute(document.node)
        assert cache.bytes <= 40_000
    del document
    gc.collect()
    assert len(cache) < 3
    assert len(compiler._structs) - before < 4


async def test_each_combination_of_conditions_has_a_plan_up_to_a_maximum() -> None:
    names = [f"s{number}" for number in range(7)]
    fields = " ".join(f"{name}: plainId @include(if: ${name})" for name in names)
    head = ", ".join(f"${name}: Boolean!" for name in names)
    document = documents().find(f"query({head}) {{ recordings(first: 1) {{ nodes {{ __typename {fields} }} }} }}")
    for combination in range(MAX_PLANS + 10):
        await execute(document.node, **{name: bool(combination >> at & 1) for at, name in enumerate(names)})
        assert len(document.node.plans._plans) <= MAX_PLANS
    assert len(document.node.plans._plans) == 10


@pytest.mark.parametrize("at", [0, -1, 1, 59_999, 60_000, -60_001, EARLIEST, LATEST, 1_795_336_461_123])
def test_an_instant_in_a_column_has_the_text_of_to_iso(at: int) -> None:
    assert instant_texts([at]) == [to_iso(at)]


def test_an_instant_outside_the_calendar_is_an_error() -> None:
    for at in (EARLIEST - 1, LATEST + 1):
        with pytest.raises((ValueError, OverflowError)):
            instant_texts([at])
