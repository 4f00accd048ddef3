"""Plans return what graphql-core returns: random documents over the whole schema, on valid and on corrupt rows."""

from collections import Counter
from random import Random

import pytest

from tests.graph.execution.differential import compare, context, make
from tests.graph.execution.queries import Made

SEEDS = 200

# After a field fails, graphql-core does not await the coroutines of its siblings.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_random_documents_have_the_results_of_graphql_core() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        made, caller = make(seed)
        compared = await compare(made, caller)
        seen.update(errors=compared.errors > 0, bails=compared.bails > 0, plans=compared.plans > 0)
        seen.update(single=compared.single_fields > 0, single_errors=compared.single_fields > 0 and compared.errors > 0)
    # The comparison is useful only if plans were used, some bailed and some documents had errors.
    assert seen["plans"] > SEEDS / 4
    assert seen["bails"] > SEEDS / 50
    assert seen["errors"] > SEEDS / 10
    assert seen["single"] > SEEDS / 10
    assert seen["single_errors"]


PAGE = "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


@pytest.mark.parametrize(
    "selection",
    [
        f"calls(first: 2) {{ {PAGE} edges {{ cursor node {{ __typename id callId from direction started }} }} }}",
        f"children(last: 2) {{ {PAGE} nodes {{ id plainId name parentId }} edges {{ cursor }} }}",
    ],
)
async def test_pages_of_calls_and_accounts_are_completed_by_plans(selection: str) -> None:
    made = Made(f"{{ viewer {{ account {{ {selection} }} }} }}", {})
    compared = await compare(made, context(Random(1), 0.0))
    assert (compared.plans, compared.bails, compared.errors) == (1, 0, 0)
