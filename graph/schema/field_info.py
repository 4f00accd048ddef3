"""The `info` argument of a resolver: the field's position in the document, and the request's context."""

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
from graphql import FieldNode, FragmentDefinitionNode, GraphQLResolveInfo, GraphQLSchema

from graph.schema.resolver_context import Context


class Info(strawberry.Info[Context, None]):
    """Strawberry's `Info` with this service's context and the parts of the document that `projection` reads."""

    @property
    def _core(self) -> GraphQLResolveInfo[Context]:
        return self._raw_info

    @property
    def field_nodes(self) -> Sequence[FieldNode]:
        """The nodes of this field. There are several if the document selects the same response key repeatedly."""
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
