"""A live call."""

import strawberry

from graph.schema.scalars import DateTime
from recordings.model.recording import Direction


@strawberry.type(description="One leg of a live call, which can be recorded.")
class LiveCall:
    call_id: strawberry.ID = strawberry.field(description="The call's id: what `startRecording` takes.")
    account_id: strawberry.ID = strawberry.field(description="The plain id of the account that it belongs to.")
    started: DateTime = strawberry.field(description="When its audio began to come in.")
    from_: str = strawberry.field(name="from", description="Who calls, as the switch says it.")
    to: str = strawberry.field(description="Who is called, as the switch says it.")
    request: str | None = strawberry.field(description="The SIP request of the call.")
    direction: Direction | None = strawberry.field(description="Which way the call goes.")
    owner_id: strawberry.ID | None = strawberry.field(description="The user whose call it is.")
    endpoint_id: strawberry.ID | None = strawberry.field(description="The device that it goes through.")
    interaction_id: strawberry.ID | None = strawberry.field(description="What the legs of one conversation share.")
    caller_id_name: str | None = strawberry.field(description="The caller's name.")
    caller_id_number: str | None = strawberry.field(description="The caller's number.")
    callee_id_name: str | None = strawberry.field(description="The callee's name.")
    callee_id_number: str | None = strawberry.field(description="The callee's number.")
