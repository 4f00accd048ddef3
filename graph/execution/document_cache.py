"""Parsed and validated documents, by their text or its hash.

The document of a page takes 0.7 ms to parse, 4.4 ms to validate and 2 ms to compile. That is many times the time of its
rows, so each document is read only once. The size of the cache is limited in bytes. Rejected documents are not cached.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.execution.ast_limits import DocumentSummary
from graph.execution.compiler import Compiler
from graph.execution.executor import PlannedDocument
from graph.execution.plan_cache import PlanCache
from graph.execution.request_errors import LimitError, RefusedDocumentError
from graph.execution.request_limits import Limits
from graph.execution.token_limits import check_text
from graph.execution.trusted_documents import TrustedDocument

MAX_BYTES: Final = 64 << 20
_BYTES_PER_CHARACTER: Final = 150
"""The memory of a parsed document for each character of its text. A page needs 87; short names need more."""
_RULES: Final[tuple[type[ASTValidationRule], ...]] = (
    *specified_rules,
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


@dataclass(slots=True, eq=False)
class Document:
    """A parsed and validated document. `names` are the names under which the cache has it: its SHA-256, trusted ids."""

    text: str
    node: PlannedDocument
    summary: DocumentSummary
    operations: Mapping[str | None, OperationDefinitionNode]
    bytes: int
    names: set[str] = field(default_factory=set)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation with this name. Without a name: the only operation.

        Raises:
            RefusedDocumentError: There is no such operation, or there are several and no name is given.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = self.operations.get(name) if name is not None else None
        if found is None:
            raise RefusedDocumentError([GraphQLError(_no_operation(name, self.operations))])
        return found

    def cost(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """Return the maximum cost of an operation with these values of its variables."""
        return self.summary.costs[_name_of(operation)].of(variables)


def _name_of(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


def _no_operation(name: str | None, operations: Mapping[str | None, Any]) -> str:
    if name is not None:
        return f"Unknown operation named '{name}'."
    if operations:
        return "Must provide operation name if query contains multiple operations."
    return "Must provide an operation."


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


@dataclass(kw_only=True)
class DocumentCache:
    """The documents of one schema.

    - `weights`: the costs of fields that cost more than 1, by type and field name.
    - `trusted`: documents that clients may always use by their ids, or by the SHA-256 of their texts.
    - `only_trusted`: execute no other documents.
    - `register`: a client may send a text with its hash once, and then only the hash (automatic persisted queries).
    - `suggestions`: errors may suggest names. This shows parts of the schema to clients that may not read it.
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
        self._trusted = {_hash(item.text): item.text for item in self.trusted}
        self._trusted |= {item.id: item.text for item in self.trusted if item.id is not None}
        self._by_text: OrderedDict[str, Document] = OrderedDict()
        self._by_name: dict[str, Document] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_text)

    def __contains__(self, text: str) -> bool:
        """Return true if the document of a text is in the cache."""
        return text in self._by_text

    def find(self, text: str) -> Document:
        """Return the document of a text. Read it if it is not in the cache.

        Raises:
            RefusedDocumentError: The text exceeds a limit, is not valid GraphQL, or is not trusted.
        """
        found = self._by_text.get(text)
        if found is None:
            return self._add(text)
        self._by_text.move_to_end(text)
        return found

    def is_trusted(self, name: str) -> bool:
        """Return true if a trusted document has this name."""
        return name in self._trusted

    def find_by_name(self, name: str) -> Document | None:
        """Return the document whose text has this SHA-256 (lower-case hex), or the trusted document with this id."""
        found = self._by_name.get(name)
        if found is not None:
            self._by_text.move_to_end(found.text)
        elif name in self._trusted:
            found = self.find(self._trusted[name])
            self._name(found, name)
        return found

    def register_text(self, text: str, name: str) -> Document | None:
        """Return the document of a text, and find it by this name from now on.

        Returns:
            `None` if the name is not the SHA-256 of the text, and not the id of a trusted document with this text.
        """
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

    def _add(self, text: str) -> Document:
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
            # The parser counts comments as tokens, too. Comments are bounded by the limit on characters.
            parsed = parse(text, max_tokens=self.limits.tokens + text.count("#"))
            summary = DocumentSummary.of(parsed, self.schema, self.limits, self.weights)
        except RecursionError:
            # The default limits prevent this. With larger limits it is still an error of the document.
            raise LimitError("levels", "too many", self.limits.nesting) from None
        variables = frozenset(summary.condition_variables)
        node = PlannedDocument.of(parsed, PlanCache(self.compiler, variables, self._grow))
        self._validate(node)
        return Document(
            text=text,
            node=node,
            summary=summary,
            operations={_name_of(item): item for item in _operations(parsed)},
            bytes=len(text) * _BYTES_PER_CHARACTER,
        )

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
        # A request may still execute this document and add plans to it. The cache does not count those.
        document.node.plans.stop_counting()
        for name in document.names:
            self._by_name.pop(name, None)


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [item for item in document.definitions if isinstance(item, OperationDefinitionNode)]
