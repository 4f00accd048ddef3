"""Apollo Federation: this API as a subgraph. Other subgraphs refer to recordings and accounts by their global ids.

The schema that clients see has the fields `_service` and `_entities`, and no directive of federation: most tools of
clients reject directives that a schema file does not define. Only `_service.sdl`, which gateways read, has them.
Strawberry's schema class for federation is not used: it adds its directives, and the types of their arguments, to the
introspection of every client. It also resolves references one by one.
"""

from functools import lru_cache
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLSchema, print_schema

from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, RECORDING, parse_id
from recordings.model.errors import InvalidInput

Representation = NewType("Representation", object)

REPRESENTATION_SCALAR: Final = strawberry.scalar(
    name="_Any",
    description="A reference of a gateway to an object: `__typename`, and its global `id`.",
    specified_by_url="https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec",
    serialize=lambda value: value,
    parse_value=lambda value: value,
)
_LINK: Final = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])\n\n'
)
_DIRECTIVES: Final = {
    f"type {RECORDING} implements Node {{": f'type {RECORDING} implements Node @key(fields: "id") {{',
    f"type {ACCOUNT} implements Node {{": f'type {ACCOUNT} implements Node @key(fields: "id") {{',
    # Other subgraphs with connections have the same type.
    "type PageInfo {": "type PageInfo @shareable {",
}


@lru_cache(maxsize=4)
def subgraph_sdl(schema: GraphQLSchema) -> str:
    """Return a schema as text, with the directives of federation."""
    text = print_schema(schema)
    for plain, with_directive in _DIRECTIVES.items():
        text = text.replace(plain, with_directive)
    return _LINK + text


def parse_representation(value: Any, index: int) -> tuple[str, str]:
    """Return the type and the plain id of the object that a gateway refers to.

    Raises:
        InvalidInput: the representation has no `id` of its type.
    """
    path = ("representations", str(index))
    name = value.get("__typename") if isinstance(value, dict) else None
    if name not in {RECORDING, ACCOUNT}:
        raise InvalidInput.of(path, "enum", name, f"an object with the __typename {RECORDING} or {ACCOUNT}")
    text = value.get("id")
    parts = parse_id(text if isinstance(text, str) else "", *path, "id")
    if parts[0] != name:
        raise InvalidInput.of((*path, "id"), "pattern", text, f"the global id of a type {name}")
    return parts


@strawberry.type(name="_Service", description="This API as a subgraph of a federated API.")
class Service:
    sdl: str = strawberry.field(description="The schema with the directives of Apollo Federation.")


def resolve_service(info: Info) -> Service:
    """Return the text of this schema for a gateway."""
    return Service(sdl=subgraph_sdl(info.core_schema))
