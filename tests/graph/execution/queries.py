"""Random valid documents over a schema: aliases, fragments, merged fields, directives, variables, `__typename`."""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
)

MAX_DEPTH = 6


@dataclass
class Made:
    """A document and values for its variables."""

    text: str
    variables: dict[str, Any]


@dataclass
class QueryMaker:
    """Makes random documents.

    - `arguments`: possible texts of arguments, by name. Other arguments get invented values.
    - `chances`: the probability of each optional argument.
    """

    schema: GraphQLSchema
    random: Random
    arguments: dict[str, list[str]] = field(default_factory=dict)
    chances: dict[str, float] = field(default_factory=dict)
    fragments: dict[str, str] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def make(self, *roots: str) -> Made:
        query = self.schema.query_type
        assert query is not None
        chosen = [self.random.choice(roots or list(query.fields)) for _ in range(self.random.randint(1, 2))]
        body = " ".join(self._field(query, name, 1, f"r{at}") for at, name in enumerate(chosen))
        kinds = dict.fromkeys(self.switches, "Boolean!") | self.declared
        declared = ", ".join(f"${name}: {kind}" for name, kind in kinds.items())
        head = f"query Q({declared})" if declared else "query Q"
        text = "\n".join([f"{head} {{ {body} }}", *self.fragments.values()])
        return Made(text, self.switches | self.values)

    def _selection(self, kind: Any, depth: int) -> str:
        if isinstance(kind, GraphQLUnionType):
            return self._fragment_on_one_type(self.schema.get_possible_types(kind))
        fields = list(kind.fields)
        if depth >= MAX_DEPTH:
            fields = [name for name in fields if not is_composite_type(get_named_type(kind.fields[name].type))]
        count = min(len(fields), self.random.choice([1, 2, 3, 5, 8, 20]))
        parts = [self._part(kind, name, depth) for name in self.random.sample(fields, count)]
        if isinstance(kind, GraphQLInterfaceType) and self.random.random() < 0.7:
            parts.append(self._fragment_on_one_type(self.schema.get_possible_types(kind)))
        if self.random.random() < 0.3 or not parts:
            parts.insert(self.random.randint(0, len(parts)), self._typename())
        if self.random.random() < 0.2:
            # The same field again: the execution merges the two.
            parts.append(self.random.choice(parts))
        return " ".join(parts)

    def _fragment_on_one_type(self, kinds: Any) -> str:
        chosen = self.random.choice(list(kinds))
        fields = [name for name, item in chosen.fields.items() if not is_composite_type(get_named_type(item.type))]
        names = ["__typename", *self.random.sample(fields, min(len(fields), self.random.choice([0, 1, 4])))]
        # With unique aliases: two fields of different types must not have the same response key.
        shown = [f"a{self.random.randint(0, 10**9)}: {name}" for name in names]
        return f"... on {chosen.name} {{ {' '.join(shown)} }}"

    def _typename(self) -> str:
        return self.random.choice(["__typename", "kindOf: __typename", "__typename @include(if: true)"])

    def _part(self, kind: Any, name: str, depth: int) -> str:
        made = self._field(kind, name, depth)
        chance = self.random.random()
        if chance < 0.08:
            return f"... {{ {made} }}"
        if chance < 0.16:
            return f"... on {kind.name}{self._directive() if chance < 0.12 else ''} {{ {made} }}"
        if chance < 0.28:
            fragment = f"F{len(self.fragments)}"
            self.fragments[fragment] = f"fragment {fragment} on {kind.name} {{ {made} }}"
            return f"...{fragment}{self._directive() if chance < 0.2 else ''}"
        return made

    def _directive(self) -> str:
        word = self.random.choice(["skip", "include"])
        if self.random.random() < 0.5:
            return f" @{word}(if: {self.random.choice(['true', 'false'])})"
        name = f"s{self.random.randint(0, 3)}"
        self.switches.setdefault(name, self.random.random() < 0.5)
        return f" @{word}(if: ${name})"

    def _field(self, kind: Any, name: str, depth: int, alias: str | None = None) -> str:
        definition: GraphQLField = kind.fields[name]
        if alias is None and self.random.random() < 0.1:
            # Always the same alias for a field, so that two selections of it can be merged.
            alias = f"{kind.name.lower()}_{name}"
        text = f"{alias}: {name}" if alias else name
        included = {key: item for key, item in definition.args.items() if self._is_included(key, item)}
        if included:
            arguments = ", ".join(f"{key}: {self._argument(key, item.type)}" for key, item in included.items())
            text += f"({arguments})"
            if alias is None:
                # A unique alias: two selections with different arguments cannot be merged.
                text = f"u{self.random.randint(0, 10**9)}: {text}"
        if self.random.random() < 0.1:
            text += self._directive()
        named = get_named_type(definition.type)
        if is_composite_type(named):
            text += f" {{ {self._selection(named, depth + 1)} }}"
        return text

    def _is_included(self, key: str, argument: GraphQLArgument) -> bool:
        return is_required_argument(argument) or self.random.random() < self.chances.get(key, 0)

    def _argument(self, key: str, kind: Any) -> str:
        """Return a value or a variable. The variable has a valid value, an invalid one, null or no value."""
        if key not in self.arguments or self.random.random() < 0.5:
            return self._value(key, kind)
        name = f"v{len(self.declared)}"
        optional = self.random.random() < 0.2 and not is_list_type(get_nullable_type(kind))
        self.declared[name] = f"{kind} = null" if optional and not is_non_null_type(kind) else str(kind)
        text = self.random.choice(self.arguments[key])
        # The other texts are GraphQL objects or names, which are not JSON.
        value = json.loads(text) if text[:1] in '[123456789"' else self.random.choice([None, {}])
        if (chance := self.random.random()) < 0.95:
            self.values[name] = value if chance < 0.9 else self.random.choice([None, "x", -1, [], {"a": 1}])
        return f"${name}"

    def _value(self, key: str, kind: Any) -> str:
        if key in self.arguments:
            return self.random.choice(self.arguments[key])
        bare = get_nullable_type(kind)
        if is_list_type(bare):
            return "[" + ", ".join(self._value(key, bare.of_type) for _ in range(self.random.randint(0, 3))) + "]"
        if isinstance(bare, GraphQLEnumType):
            return str(self.random.choice(list(bare.values)))
        if is_input_object_type(bare):
            assert isinstance(bare, GraphQLInputObjectType)
            needed = {name: item for name, item in bare.fields.items() if is_required_argument(item)}
            return "{" + ", ".join(f"{name}: {self._value(name, item.type)}" for name, item in needed.items()) + "}"
        return {"Int": "7", "Float": "1.5", "Boolean": "true"}.get(str(bare), '"x"')
