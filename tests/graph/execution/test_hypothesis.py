"""The same comparison with documents that hypothesis-graphql makes from the printed schema."""

import asyncio
from random import Random

import pytest
from graphql import parse, validate
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries

from graph.schema.build import sdl
from tests.graph.execution.differential import SCHEMA, compare, context
from tests.graph.execution.queries import Made

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SCALARS = {
    "DateTime": st.just("2026-11-22T08:19:00Z").map(nodes.String),
    "URL": st.just("http://a.test/").map(nodes.String),
    "Sha256": st.just("0f" * 32).map(nodes.String),
    "BigInt": st.integers(0, 2**53 - 1).map(nodes.Int),
    "JSON": st.just("{}").map(nodes.String),
    "_Any": st.just("{}").map(nodes.String),
}


@settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)
@given(text=queries(sdl(), custom_scalars=SCALARS), seed=st.integers(0, 10**6))
def test_documents_of_hypothesis_have_the_results_of_graphql_core(text: str, seed: int) -> None:
    assume(not validate(SCHEMA.core, parse(text)))
    random = Random(seed)
    asyncio.run(compare(Made(text, {}), context(random, random.choice([0.0, 0.3]))))
