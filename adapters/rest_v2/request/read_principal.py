"""As whom a request reads."""

from dataclasses import replace

from adapters.rest_v2.dependencies import Choices
from adapters.rest_v2.request.request_context import RequestContext
from recordings.model.account import Principal


def reader_of(exchange: RequestContext, choices: Choices) -> Principal:
    """The principal for reading: without its owner, in its own account, where the installation says so.

    Writing is never widened: whoever may hear everything still deletes and changes only what is theirs.
    """
    principal = exchange.principal
    if choices.owner_sees_account and exchange.account.id == principal.account_id:
        return replace(principal, owner_id=None)
    return principal
