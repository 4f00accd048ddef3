"""Plans give what graphql-core gives: random documents over the whole schema, on sound and on broken rows."""

from collections import Counter

import pytest

from tests.graph.execution.differential import compare, make

SEEDS = 200

# graphql-core leaves the coroutines of fields that are never awaited once a sibling failed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_random_documents_are_answered_as_by_graphql_core() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        made, asker = make(seed)
        compared = await compare(made, asker)
        seen.update(errors=compared.errors > 0, bails=compared.bails > 0, plans=compared.plans > 0)
        seen.update(direct=compared.direct > 0, direct_errors=compared.direct > 0 and compared.errors > 0)
    # The comparison is worth something only if plans were used, and bailed, and errors came of it.
    assert seen["plans"] > SEEDS / 4
    assert seen["bails"] > SEEDS / 50
    assert seen["errors"] > SEEDS / 10
    assert seen["direct"] > SEEDS / 10
    assert seen["direct_errors"]
