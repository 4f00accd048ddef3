"""The mark that a resolver puts on a result that is plain data all the way down."""

from typing import Any


class Plain:
    """A result of plain values: dicts under the fields' row names, lists, text, numbers, `None`.

    It promises nothing about their correctness: whatever does not fit the schema is completed, and reported, by
    graphql-core. Only the plans of `graph.execution.compiler` and the executor know this class.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value
