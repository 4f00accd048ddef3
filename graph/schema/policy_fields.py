"""The queries and mutations of recording policies."""

from dataclasses import asdict
from typing import Annotated, Any, cast

import strawberry

from graph.schema.enums import PolicyScope
from graph.schema.error_types import SetRecordingPolicyError, user_errors
from graph.schema.field_info import Info
from graph.schema.global_id import ACCOUNT, parse_call_id, plain
from graph.schema.policy_inputs import ACCOUNT_ID, PolicyCallInput, SetRecordingPolicyInput
from graph.schema.policy_types import (
    PlannedRecording,
    PolicyLevel,
    RecordingPolicy,
    RecordingPolicyExplanation,
    decision_of,
    policy_of,
)
from recordings.model.errors import NotFound, Refused
from recordings.model.recording_policy import PlannedTake, PolicyCall
from recordings.rules.resolve_policy import options_of
from recordings.use_cases.policies import Explanation

_Scope = Annotated[PolicyScope, strawberry.argument(description="The calls that the policy is for.")]
_Id = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="The id of the user or the device. Left out for the account's policies."),
]
_AccountId = Annotated[strawberry.ID | None, strawberry.argument(description=ACCOUNT_ID)]
_Call = Annotated[PolicyCallInput, strawberry.argument(description="The call.")]


def _plain(account_id: str | None) -> str | None:
    return None if account_id is None else plain(account_id, ACCOUNT)


async def resolve_policy(
    info: Info, scope: _Scope, id: _Id = None, account_id: _AccountId = None
) -> RecordingPolicy | None:
    """Return the policy of a scope; `None` if the account or the device is unknown."""
    context = info.context
    try:
        found = await context.policy.policies.document(context.principal, scope.kind, id, _plain(account_id))
    except NotFound:
        return None
    return policy_of(found, scope)


async def resolve_explanation(info: Info, call: _Call) -> RecordingPolicyExplanation:
    """Return why a call is or is not recorded."""
    context = info.context
    account_id = _plain(call.account_id)
    owner_id: str | None = call.owner_id
    endpoint_id: str | None = call.endpoint_id
    known = PolicyCall()
    if call.call_id is not None:
        account_of_call, call_id = parse_call_id(call.call_id)
        account_id = account_id or account_of_call
        live = await context.recordings.call(context.principal, call_id, account_id)
        known = PolicyCall.of(live)
        owner_id, endpoint_id = owner_id or live.owner_id, endpoint_id or live.endpoint_id
    explained = await context.policy.policies.explain(
        context.principal, call.apply_to(known), account_id=account_id, owner_id=owner_id, endpoint_id=endpoint_id
    )
    return _explanation(explained)


def _explanation(explained: Explanation) -> RecordingPolicyExplanation:
    plan, call = explained.plan, explained.call
    return RecordingPolicyExplanation(
        decision=plan.decision,
        source=plan.source,
        because=plan.because,
        refused=plan.refused,
        direction=call.direction,
        network=call.network,
        consent=plan.consent,
        recordings=[_planned(take) for take in plan.takes],
        levels=[
            PolicyLevel(
                scope=level.scope,
                document_id=strawberry.ID(level.document_id),
                revision=level.revision,
                fill=level.fill,
                cell=level.cell,
                decision=decision_of(level.enabled),
            )
            for level in plan.levels
        ],
        warnings=list(explained.warnings),
    )


def _planned(take: PlannedTake) -> PlannedRecording:
    options: Any = asdict(options_of(take))
    return PlannedRecording(
        source=take.source,
        document_id=None if take.document_id is None else strawberry.ID(take.document_id),
        revision=take.revision,
        cell=take.cell,
        reasons=list(take.reasons),
        origin=take.origin,
        options=options,
    )


@strawberry.type(description="The result of `setRecordingPolicy`.")
class SetRecordingPolicyPayload:
    policy: RecordingPolicy | None = strawberry.field(description="The policy now. Null if there are errors.")
    warnings: list[str] = strawberry.field(
        description="Settings of the document that may not be intended, such as cells that it turns off although the "
        "account's default has them on."
    )
    errors: list[SetRecordingPolicyError] = strawberry.field(description="The errors. Empty if the mutation succeeded.")


async def set_policy(
    info: Info, input: Annotated[SetRecordingPolicyInput, strawberry.argument(description="The input.")]
) -> SetRecordingPolicyPayload:
    """Change the policy of a scope."""
    context = info.context
    try:
        saved = await context.policy.policies.set(context.principal, input.change(), _plain(input.account_id))
        if input.apply_now:
            await context.policy.starts.apply_now(saved.account_id)
    except Refused as refused:
        return SetRecordingPolicyPayload(policy=None, warnings=[], errors=cast("Any", user_errors(refused)))
    found = await context.policy.policies.warnings(saved)
    return SetRecordingPolicyPayload(policy=policy_of(saved, input.scope), warnings=found, errors=[])
