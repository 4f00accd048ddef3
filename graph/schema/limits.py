"""How big a document may be.

The rule is one class, made once: validation results are cached by (schema, document, rules), and a rule class made for
each request would empty that cache unseen.
"""

from collections.abc import Iterable
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionNode,
    ValidationContext,
    ValidationRule,
)

MAX_TOKENS: Final = 2_000
MAX_DEPTH: Final = 16
MAX_ALIASES: Final = 50
DOCUMENTS: Final = 512
"""How many parsed and validated documents are kept."""


class DocumentLimits(ValidationRule):
    """Refuses documents that nest too deep or alias too much. Linear in the document, whatever its fragments do."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._aliases = 0
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._depths: dict[str, int] = {}

    def enter_document(self, document: DocumentNode, *_args: Any) -> None:
        """Measure the depth of every operation. Introspection's own query is deeper than a page is."""
        definitions = document.definitions
        self._fragments = {item.name.value: item for item in definitions if isinstance(item, FragmentDefinitionNode)}
        operations = [item for item in definitions if isinstance(item, OperationDefinitionNode)]
        deepest = max((self._depth(item.selection_set.selections) for item in operations), default=0)
        if deepest > MAX_DEPTH:
            self.report_error(GraphQLError(f"the document is {deepest} levels deep; at most {MAX_DEPTH} are allowed"))

    def enter_field(self, node: FieldNode, *_args: Any) -> None:
        """Count the aliases."""
        self._aliases += node.alias is not None
        if self._aliases == MAX_ALIASES + 1 and node.alias is not None:
            self.report_error(GraphQLError(f"the document has more than {MAX_ALIASES} aliases", node))

    def _depth(self, selections: Iterable[SelectionNode]) -> int:
        return max(map(self._depth_of, selections), default=0)

    def _depth_of(self, selection: SelectionNode) -> int:
        if isinstance(selection, FragmentSpreadNode):
            return self._depth_of_fragment(selection.name.value)
        inner: Any = getattr(selection, "selection_set", None)
        below = self._depth(inner.selections) if inner else 0
        if not isinstance(selection, FieldNode):
            return below
        return 0 if selection.name.value.startswith("__") else below + 1

    def _depth_of_fragment(self, name: str) -> int:
        if name not in self._depths and name in self._fragments:
            # Known as 0 meanwhile, so that fragments in a circle, which another rule refuses, come to an end.
            self._depths[name] = 0
            self._depths[name] = self._depth(self._fragments[name].selection_set.selections)
        return self._depths.get(name, 0)
