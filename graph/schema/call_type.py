"""The `LiveCall` type."""

from typing import Any

import strawberry

from graph.schema.enums import Capability, Direction
from graph.schema.field_info import Info
from graph.schema.global_id import Node
from graph.schema.scalars import DateTime
from recordings.model.call import Call


def _resolve_capabilities(call: strawberry.Parent[Call], info: Info) -> list[Capability]:
    return list(info.context.recordings.lists.capabilities_of(call))


@strawberry.type(
    description="One leg of a call in progress, which can be recorded. A leg is one connection between the switch and "
    "a phone or another switch; a call between two phones has two legs."
)
class LiveCall(Node):
    call_id: strawberry.ID = strawberry.field(description="The id of this leg, as input for `startRecording`.")
    account_id: strawberry.ID = strawberry.field(description="The plain id of the account that the call belongs to.")
    started: DateTime = strawberry.field(description="The time at which the service received the first audio.")
    from_: str = strawberry.field(name="from", description="The caller, as reported by the switch.")
    to: str = strawberry.field(description="The callee, as reported by the switch.")
    request: str | None = strawberry.field(
        description="The address in the SIP request of the call (the Request-URI), as reported by the switch."
    )
    direction: Direction | None = strawberry.field(description="The direction of the call.")
    owner_id: strawberry.ID | None = strawberry.field(description="The id of the user that the call belongs to.")
    endpoint_id: strawberry.ID | None = strawberry.field(description="The id of the device that the call uses.")
    interaction_id: strawberry.ID | None = strawberry.field(
        description="The id of the conversation. All legs of one conversation have the same one."
    )
    node: str | None = strawberry.field(
        description="The name of the server that receives the audio. `recordings node list` shows all servers."
    )
    recorder: str = strawberry.field(
        description="The recorder of this call: `embedded`, or the name of the switch in the settings."
    )
    capabilities: list[Capability] = strawberry.field(
        resolver=_resolve_capabilities,
        description="What this recorder supports. A request for anything else fails before the switch gets a command.",
    )
    caller_id_name: str | None = strawberry.field(description="The caller's name.")
    caller_id_number: str | None = strawberry.field(description="The caller's number.")
    callee_id_name: str | None = strawberry.field(description="The callee's name.")
    callee_id_number: str | None = strawberry.field(description="The callee's number.")

    @classmethod
    def is_type_of(cls, source: Any, *_: Any) -> bool:
        return isinstance(source, Call)
