"""The access rules: which accounts and recordings a principal may access.

Accounts form a tree. A principal may access its own account and that account's descendants, but no sibling and no
ancestor. A principal with an owner may access that owner's recordings in its own account only. Anything else is
`NotFound`, as if it did not exist. A missing scope is `Forbidden`.
"""

from collections.abc import Iterable, Sequence

from recordings.model.account import GRANTABLE, Account, Principal, Scope
from recordings.model.errors import Forbidden, InvalidInput, NotFound
from recordings.model.fields import RecordingRow


def can_access_account(principal: Principal, account_id: str, tree: Sequence[str]) -> bool:
    """Return true if a principal may access an account. `tree` has the ids of the account's ancestors."""
    if principal.account_id == account_id:
        return True
    return principal.owner_id is None and principal.account_id in tree


def can_access_row(principal: Principal, row: RecordingRow, tree: Sequence[str]) -> bool:
    """Return true if a principal may access a recording. `tree` is that of its account.

    The row needs `account_id` and `owner_id`.
    """
    if not can_access_account(principal, row["account_id"], tree):
        return False
    return principal.owner_id is None or row["owner_id"] == principal.owner_id


def require_scope(principal: Principal, scope: Scope) -> None:
    """Raise `Forbidden` with the name of the scope, unless the principal has it."""
    if scope not in principal.scopes:
        message = f"this needs the scope {scope.value!r}; the credentials have {describe_scopes(principal.scopes)}"
        raise Forbidden(message)


def require_account(principal: Principal, account: Account | None, account_id: str) -> Account:
    """Return the account if it exists and the principal may access it. Raise `NotFound` otherwise."""
    if account is None or not can_access_account(principal, account.id, account.tree):
        raise no_account(account_id)
    return account


def no_account(account_id: str) -> NotFound:
    """Return the error for an account that does not exist, or that the principal may not access."""
    return NotFound(f"there is no account {account_id}", path=("accountId",))


def describe_scopes(scopes: Iterable[Scope]) -> str:
    """Return the sorted names of scopes as text, or `none`."""
    return ", ".join(sorted(scope.value for scope in scopes)) or "none"


def parse_scopes(names: Iterable[str], path: Sequence[str] = ("scope",)) -> frozenset[Scope]:
    """Return the scopes with these names.

    Raises:
        InvalidInput: a name is unknown, or it cannot be granted.
    """
    allowed = {scope.value: scope for scope in GRANTABLE}
    wanted = tuple(names)
    for name in wanted:
        if name not in allowed:
            raise InvalidInput.of(path, "enum", name, f"one of {', '.join(allowed)}")
    return frozenset(allowed[name] for name in wanted)
