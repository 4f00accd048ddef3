"""Schemathesis sends random valid documents. None of them causes an internal error."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes, scalar

from graph.schema.build import sdl
from graph.schema.error_format import INTERNAL
from tests.graph.api import URL, Api

Case = schemathesis.Case[Any]
EXAMPLES = 8
"""The number of documents for each field of `Query` and `Mutation`."""
TEXTS = {"DateTime": "2026-11-22T08:19:00Z", "URL": "http://a.test/", "Sha256": "0f" * 32, "JSON": "{}", "_Any": "{}"}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Return the documents that Schemathesis would send."""
    for name, text in TEXTS.items():
        scalar(name, st.just(text).map(nodes.String))
    scalar("BigInt", st.integers(0, 2**53 - 1).map(nodes.Int))
    schema = schemathesis.graphql.from_file(sdl())
    schema.config.update(base_url=URL)
    made: list[Case] = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        _collect(found.ok(), made)
    return made


def _collect(operation: Any, made: list[Case]) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(operation.as_strategy())
    def collect(case: Case) -> None:
        made.append(case)

    collect()


async def test_schemathesis_finds_no_internal_error(api: Api, cases: list[Case]) -> None:
    assert len(cases) > 10 * EXAMPLES
    answered = 0
    for case in cases:
        response = await api.http.post(URL, json={"query": case.body}, headers={"authorization": "Bearer me"})
        assert response.status_code == 200, (case.body, response.text)
        # Schemathesis's own check rejects every error. Here only the code of an internal error is a failure.
        codes = {error.get("extensions", {}).get("code") for error in response.json().get("errors", ())}
        assert INTERNAL not in codes, (case.body, response.text)
        answered += not codes
    assert answered
