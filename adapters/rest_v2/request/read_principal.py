"""The principal that a request reads with."""

from dataclasses import replace

from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.account import Principal


def read_principal(context: RequestContext, settings: V2Settings) -> Principal:
    """Return the principal for reads. With `owner_sees_account` it has no owner in its own account.

    Only reads use it. An owner's token still deletes and changes only recordings of that owner.
    """
    principal = context.principal
    if settings.owner_sees_account and context.account_id == principal.account_id:
        return replace(principal, owner_id=None)
    return principal
