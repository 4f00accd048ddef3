"""The same documents, limits and plans for Strawberry's own view, for what the front leaves to it."""

from collections.abc import Iterator

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from graph.execution.document_cache import Documents, RefusedDocumentError


class ReadDocuments(SchemaExtension):
    """Reads documents from `documents`: parsing and validation are one look-up."""

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self._documents = documents
        self._errors: list[GraphQLError] = []

    def on_parse(self) -> Iterator[None]:
        """Find the document."""
        context = self.execution_context
        if context.query:
            try:
                context.graphql_document = self._documents.find(context.query).node
            except RefusedDocumentError as refused:
                if refused.node is None:
                    raise refused.errors[0] from refused
                context.graphql_document = refused.node
                self._errors = refused.errors
        yield

    def on_validate(self) -> Iterator[None]:
        """Say what was found when the document was."""
        self.execution_context.pre_execution_errors = self._errors
        yield
