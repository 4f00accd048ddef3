"""What a resolver is told about the place in the document that it answers for."""

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
from graphql import FieldNode, FragmentDefinitionNode, GraphQLResolveInfo, GraphQLSchema

from graph.schema.resolver_context import Context


class Info(strawberry.Info[Context, None]):
    """Strawberry's `Info`, of our context, with the parts of the document that `selection` reads."""

    @property
    def _core(self) -> GraphQLResolveInfo[Context]:
        return self._raw_info

    @property
    def field_nodes(self) -> Sequence[FieldNode]:
        """The field in the document; several ones where it was asked for more than once under the same name."""
        return self._core.field_nodes

    @property
    def fragments(self) -> Mapping[str, FragmentDefinitionNode]:
        """The named fragments of the document."""
        fragments: Mapping[str, Any] = self._core.fragments
        return fragments

    @property
    def core_schema(self) -> GraphQLSchema:
        """graphql-core's schema."""
        return self._core.schema
