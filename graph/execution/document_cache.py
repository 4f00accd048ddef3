"""Documents by their text or its hash: one look-up leads to what is parsed, validated and compiled.

A page's document takes 0.7 ms to parse, 4.4 to validate and 2 to compile, which is many times what its rows take, so it
is done once. What is kept is bounded by bytes; documents that are refused are not kept.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.execution.ast_limits import Survey
from graph.execution.compiler import Compiler
from graph.execution.cost import Cost, Costs, Fragments
from graph.execution.executor import PlannedDocument
from graph.execution.limit_error import LimitError
from graph.execution.plan_cache import Plans
from graph.execution.request_limits import Limits
from graph.execution.token_limits import check_text
from graph.execution.trusted_documents import TrustedDocument

MAX_BYTES: Final = 64 << 20
_BYTES_PER_CHARACTER: Final = 150
"""What a parsed document weighs for each character of its text: 87 for a page, more where names are short."""
_RULES: Final[tuple[type[ASTValidationRule], ...]] = (
    *specified_rules,
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


_Operations = dict[str | None, OperationDefinitionNode]


class RefusedDocumentError(Exception):
    """A document that is not executed, with all that is wrong with it; `node` if it could be parsed."""

    def __init__(self, errors: list[GraphQLError], node: DocumentNode | None = None) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.node = node


@dataclass(slots=True, eq=False)
class Document:
    """A parsed and validated document. `names` are those that it was named by: its SHA-256, its trusted id."""

    text: str
    node: PlannedDocument
    survey: Survey
    operations: _Operations
    costs: dict[str | None, Cost]
    bytes: int
    names: set[str] = field(default_factory=set)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation of that name, or the only one.

        Raises:
            RefusedDocumentError: there is none, or more than one and no name.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = self.operations.get(name) if name is not None else None
        if found is None:
            raise RefusedDocumentError([GraphQLError(_no_operation(name, self.operations))])
        return found

    def cost(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """What an operation costs with these values of its variables, in the worst case."""
        return self.costs[operation.name.value if operation.name else None].of(variables)


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _no_operation(name: str | None, operations: Mapping[str | None, Any]) -> str:
    if name is not None:
        return f"Unknown operation named '{name}'."
    if operations:
        return "Must provide operation name if query contains multiple operations."
    return "Must provide an operation."


@dataclass(kw_only=True)
class Documents:
    """The documents of a schema.

    `trusted` may always be named by their ids, and by the SHA-256 of their texts. With `only_trusted` nothing else is
    executed. With `register` a client may hand in a text together with its hash, and then name it by that (automatic
    persisted queries). `suggestions` lets errors guess at names, which tells the schema to whoever may not read it.
    """

    schema: GraphQLSchema
    compiler: Compiler
    limits: Limits = field(default_factory=Limits)
    weights: Mapping[tuple[str, str], int] = field(default_factory=dict)
    trusted: Iterable[TrustedDocument] = ()
    only_trusted: bool = False
    register: bool = True
    suggestions: bool = False
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        self._costs = Costs(self.schema, self.weights)
        self._trusted = {_hash(item.text): item.text for item in self.trusted}
        self._trusted |= {item.id: item.text for item in self.trusted if item.id is not None}
        self._by_text: OrderedDict[str, Document] = OrderedDict()
        self._by_name: dict[str, Document] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_text)

    def __contains__(self, text: str) -> bool:
        """Whether a text was read already."""
        return text in self._by_text

    def find(self, text: str) -> Document:
        """The document of a text.

        Raises:
            RefusedDocumentError: it is beyond a limit, no GraphQL, not valid, or not one of the trusted ones.
        """
        found = self._by_text.get(text)
        if found is None:
            return self._make(text)
        self._by_text.move_to_end(text)
        return found

    def knows(self, name: str) -> bool:
        """Whether a name is that of a trusted document."""
        return name in self._trusted

    def find_by_name(self, name: str) -> Document | None:
        """The document whose text has this SHA-256 (in lower-case hex), or that is trusted under this id, if any."""
        found = self._by_name.get(name)
        if found is not None:
            self._by_text.move_to_end(found.text)
        elif name in self._trusted:
            found = self.find(self._trusted[name])
            self._name(found, name)
        return found

    def add(self, text: str, name: str) -> Document | None:
        """The document of a text, to be named by its SHA-256 from now on; `None` if that is not its name."""
        known = self._by_name.get(name)
        if known is not None and known.text == text:
            return self.find(text)
        if name != _hash(text) and self._trusted.get(name) != text:
            return None
        found = self.find(text)
        self._name(found, name)
        return found

    def _name(self, document: Document, name: str) -> None:
        document.names.add(name)
        self._by_name[name] = document

    def _make(self, text: str) -> Document:
        try:
            document = self._read(text)
        except GraphQLError as error:
            raise RefusedDocumentError([error]) from error
        self._by_text[text] = document
        self._grow(document.bytes)
        return document

    def _read(self, text: str) -> Document:
        if self.only_trusted and _hash(text) not in self._trusted:
            raise GraphQLError("only trusted documents are executed", extensions={"code": "DOCUMENT_NOT_TRUSTED"})
        check_text(text, self.limits)
        try:
            # The parser counts comments as well; they are bounded by their characters.
            parsed = parse(text, max_tokens=self.limits.tokens + text.count("#"))
            survey = Survey.of(parsed, self.limits)
            fragments = {
                item.name.value: item for item in parsed.definitions if isinstance(item, FragmentDefinitionNode)
            }
            operations, costs = self._operations(parsed, fragments)
        except RecursionError:
            # The limits keep far away from it; with other limits it is still an answer and no fault.
            raise LimitError("levels", "too many", self.limits.nesting) from None
        node = PlannedDocument.of(parsed, Plans(self.compiler, frozenset(survey.switches), self._grow))
        self._validate(node)
        return Document(
            text=text,
            node=node,
            survey=survey,
            operations=operations,
            costs=costs,
            bytes=len(text) * _BYTES_PER_CHARACTER,
        )

    def _operations(self, parsed: DocumentNode, fragments: Fragments) -> tuple[_Operations, dict[str | None, Cost]]:
        """The operations and their costs. What is too costly whatever the variables are need not be validated."""
        operations = [item for item in parsed.definitions if isinstance(item, OperationDefinitionNode)]
        named = {item.name.value if item.name else None: item for item in operations}
        costs = {name: self._costs.of(item, fragments) for name, item in named.items()}
        least = min((cost.fixed for cost in costs.values()), default=0)
        if least > self.limits.cost:
            raise LimitError("points of cost", least, self.limits.cost)
        return named, costs

    def _validate(self, node: PlannedDocument) -> None:
        errors = validate(self.schema, node, _RULES, hide_suggestions=not self.suggestions)
        if errors:
            raise RefusedDocumentError(errors, node)

    def _grow(self, more: int) -> None:
        self.bytes += more
        while self.bytes > self.max_bytes and len(self._by_text) > 1:
            self._drop(*self._by_text.popitem(last=False))

    def _drop(self, _text: str, document: Document) -> None:
        self.bytes -= document.bytes + document.node.plans.bytes
        # Whoever executes it still may go on, and make plans for it: those are not ours to count.
        document.node.plans.forget()
        for name in document.names:
            self._by_name.pop(name, None)
