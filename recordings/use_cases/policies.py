"""The use cases for recording policies: read and change the documents, and explain a decision."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import Conflict, Forbidden, InvalidInput, NotFound, problem
from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.ids import MAX_ID
from recordings.model.options import is_in
from recordings.model.policy_trace import ConsentNeed, Fill
from recordings.model.query import is_storable
from recordings.model.recording_policy import (
    CALL_RECORDING,
    DocumentKind,
    Duplicates,
    Lock,
    Plan,
    PolicyCall,
    PolicyDocument,
    PolicyScope,
)
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.rules.policy_cells import layers_of
from recordings.rules.policy_locks import check_locks
from recordings.rules.policy_schema import check_call_recording, merge_patch
from recordings.rules.resolve_policy import plan, warnings
from recordings.use_cases.authorized import Authorized
from recordings.use_cases.policy_reader import PolicyReader
from recordings.use_cases.save_event import MAX_TRIES

MAX_BYTES: Final = 65_536
"""Maximum size of a document as JSON, in bytes."""
MAX_DEPTH: Final = 32
"""Maximum depth of nested objects and arrays."""
MAX_DOCUMENTS: Final = 10_000
"""Maximum number of documents of one kind in an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """A change of the policy of a scope. `None` means no change.

    - `id`: the user or the device. `None`, or the id of the account, for the account's policies.
    - `cells`: the new `call_recording` of the scope. An empty one removes it.
    - `locks`, `consent`, `duplicates`: only for an account's policies.
    - `revision`: the revision that the document must have.
    """

    scope: PolicyScope
    id: str | None = None
    cells: Mapping[str, Any] | None = None
    fill: Fill | None = None
    locks: tuple[Lock, ...] | None = None
    consent: ConsentNeed | None = None
    duplicates: Duplicates | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision about a call, and the settings of documents that may not be what their author wanted."""

    call: PolicyCall
    plan: Plan
    warnings: tuple[str, ...]


class Policies:
    """Reads and changes policies for a principal. Anything that the principal may not access is `NotFound`.

    To read needs the scope READ, to change needs ADMIN. A principal with an owner may access the documents of that
    user and of the user's devices, and may read the account's document.
    """

    def __init__(
        self,
        *,
        store: MetadataStore,
        reader: PolicyReader,
        clock: Clock,
        audit: Audit,
        url_prefixes: Sequence[str] = (),
    ) -> None:
        """`url_prefixes` are the allowed beginnings of a `url`; empty if every URL is allowed."""
        self._store = store
        self._reader = reader
        self._clock = clock
        self._audit = audit
        self._url_prefixes = url_prefixes
        self._authorized = Authorized(store)

    # Read

    async def document(
        self, principal: Principal, kind: DocumentKind, identity: str | None = None, account_id: str | None = None
    ) -> PolicyDocument:
        """Return a document. One that was never written is empty and has the revision 0.

        Without the scopes CONTROL and ADMIN, and for an owner who reads the account's document, it has no URLs, because
        a URL may contain a secret.
        """
        require_scope(principal, Scope.READ)
        found = await self._load(principal, kind, identity, account_id)
        is_foreign = kind is DocumentKind.ACCOUNT and principal.owner_id is not None
        if is_foreign or not principal.scopes & {Scope.CONTROL, Scope.ADMIN}:
            return replace(found, body=_without_urls(found.body))
        return found

    async def devices(self, principal: Principal, account_id: str | None = None) -> Sequence[PolicyDocument]:
        """Return the documents of the devices of an account, by id."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        found = await self._store.documents_of_kind(account_id, DocumentKind.DEVICE)
        return [each for each in found if principal.owner_id in {None, each.owner_id}]

    async def explain(
        self,
        principal: Principal,
        call: PolicyCall,
        *,
        account_id: str | None = None,
        owner_id: str | None = None,
        endpoint_id: str | None = None,
    ) -> Explanation:
        """Return the decision about a call of a user and a device, and why."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        if principal.owner_id is not None:
            if owner_id not in {None, principal.owner_id}:
                raise _not_found(DocumentKind.USER, owner_id or "")
            owner_id = principal.owner_id
        documents = await self._reader.documents(account_id, owner_id, endpoint_id)
        if principal.owner_id is not None and documents.device is not None:
            _check_device(principal, documents.device)
        layers = layers_of(documents)
        decided = plan(layers, call)
        found = [*warnings(layers), *(f"{url!r} is not an allowed URL" for url in self._refused_urls(decided))]
        return Explanation(call, decided, tuple(found))

    def _refused_urls(self, decided: Plan) -> list[str]:
        urls = [take.options.get("url") for take in decided.takes]
        return [url for url in urls if url and not is_allowed_url(url, self._url_prefixes)]

    async def warnings(self, document: PolicyDocument) -> list[str]:
        """Return the settings of a saved document, and of those above it, that may not be intended."""
        ids = {document.kind: document.id}
        owner_id = ids.get(DocumentKind.USER, document.owner_id)
        found = await self._reader.documents(document.account_id, owner_id, ids.get(DocumentKind.DEVICE))
        return warnings(layers_of(found))

    # Change

    async def put_body(
        self,
        principal: Principal,
        kind: DocumentKind,
        body: Mapping[str, Any],
        identity: str | None = None,
        account_id: str | None = None,
    ) -> PolicyDocument:
        """Replace the body of a document. Its `call_recording` is checked, everything else is kept as it is."""
        _check_size(body)
        return await self._save(principal, kind, identity, account_id, lambda found: _with_body(found, body))

    async def patch_body(
        self,
        principal: Principal,
        kind: DocumentKind,
        changes: Mapping[str, Any],
        identity: str | None = None,
        account_id: str | None = None,
    ) -> PolicyDocument:
        """Merge a body into the body of a document. A `None` removes its key."""
        _check_size(changes)
        return await self._save(
            principal, kind, identity, account_id, lambda found: _with_body(found, merge_patch(found.body, changes))
        )

    async def set(self, principal: Principal, change: PolicyChange, account_id: str | None = None) -> PolicyDocument:
        """Change the policy of a scope. A new policy inherits the cells that it does not have."""
        return await self._save(
            principal, change.scope.kind, change.id, account_id, lambda found: _changed(found, change)
        )

    async def _save(
        self,
        principal: Principal,
        kind: DocumentKind,
        identity: str | None,
        account_id: str | None,
        make: Callable[[PolicyDocument], PolicyDocument],
    ) -> PolicyDocument:
        target = AuditObject("policy", identity or account_id, account_id)
        with Refusals(self._audit, principal, AuditAction.POLICY, target):
            return await self._save_checked(principal, kind, identity, account_id, make)

    async def _save_checked(
        self,
        principal: Principal,
        kind: DocumentKind,
        identity: str | None,
        account_id: str | None,
        make: Callable[[PolicyDocument], PolicyDocument],
    ) -> PolicyDocument:
        require_scope(principal, Scope.ADMIN)
        if kind is DocumentKind.ACCOUNT and principal.owner_id is not None:
            raise Forbidden("the credentials of one owner cannot change the policy of the account")
        for _ in range(MAX_TRIES):
            found = await self._load(principal, kind, identity, account_id, is_new=True)
            made = make(found)
            _check_device(principal, made)
            _check_size(made.body)
            changed = replace(made, revision=found.revision + 1, modified=self._clock.now())
            if changed.revision == 1:
                await self._check_number(changed)
            target = AuditObject("policy", changed.id, changed.account_id)
            await self._audit.record(principal, AuditAction.POLICY, target, kind=kind.value, revision=changed.revision)
            if await self._store.save_policy_document(changed):
                self._reader.forget(changed.account_id)
                await self._store.add_event(_event_of(changed))
                return changed
        message = f"the document of the {kind} {identity or ''} keeps changing: try again"
        raise Conflict(message)

    async def _check_number(self, document: PolicyDocument) -> None:
        found = await self._store.documents_of_kind(document.account_id, document.kind, MAX_DOCUMENTS)
        if len(found) >= MAX_DOCUMENTS:
            allowed = f"one of the {MAX_DOCUMENTS} documents that exist: an account can have no more"
            raise InvalidInput.of(("id",), "maxItems", document.id, allowed)

    async def _load(
        self,
        principal: Principal,
        kind: DocumentKind,
        identity: str | None,
        account_id: str | None,
        *,
        is_new: bool = False,
    ) -> PolicyDocument:
        """Return a document that the principal may access. `is_new`: a device need not exist."""
        account_id = await self._authorized.account_id(principal, account_id)
        identity = _account_document_id(identity, account_id) if kind is DocumentKind.ACCOUNT else _checked_id(identity)
        if kind is DocumentKind.USER and principal.owner_id not in {None, identity}:
            raise _not_found(kind, identity)
        found = await self._store.policy_documents(account_id, [(kind, identity)])
        if found:
            _check_device(principal, found[0])
            return found[0]
        if kind is DocumentKind.DEVICE and not is_new:
            raise _not_found(kind, identity)
        return PolicyDocument(account_id=account_id, kind=kind, id=identity)


def is_allowed_url(url: str, url_prefixes: Sequence[str]) -> bool:
    """Return true if the installation can deliver a recording to a URL."""
    return not url_prefixes or is_in(url, url_prefixes)


def _with_body(found: PolicyDocument, body: Mapping[str, Any]) -> PolicyDocument:
    return _with_policy(found, body, Fill.COMPATIBLE)


def _with_policy(found: PolicyDocument, body: Mapping[str, Any], new_fill: Fill) -> PolicyDocument:
    """Return the document with another body. The fill of an existing policy never changes without a request for it."""
    if CALL_RECORDING not in body:
        return replace(found, body=body, fill=None)
    checked, problems = check_call_recording(body[CALL_RECORDING], found.kind, (CALL_RECORDING,))
    if problems:
        raise InvalidInput(problems)
    return replace(found, body={**body, CALL_RECORDING: checked}, fill=found.fill or new_fill)


def _changed(found: PolicyDocument, change: PolicyChange) -> PolicyDocument:
    if change.revision not in {None, found.revision}:
        message = f"the document has the revision {found.revision}, not {change.revision}: read it again"
        raise Conflict(message, path=("revision",))
    if change.cells is not None:
        found = _with_policy(found, _body_with(found, change.scope, change.cells), change.fill or Fill.INHERIT)
    if change.fill is not None and found.fill is not None:
        found = replace(found, fill=change.fill)
    own = {"locks": change.locks, "consent": change.consent, "duplicates": change.duplicates}
    given: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    if given and found.kind is not DocumentKind.ACCOUNT:
        allowed = "left out: only the policy of an account has it"
        raise InvalidInput([problem((name,), "additionalProperties", None, allowed) for name in given])
    if change.locks is not None:
        check_locks(change.locks)
    return replace(found, rules=replace(found.rules, **given))


def _body_with(found: PolicyDocument, scope: PolicyScope, cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with the policy of a scope, or without it if there are no cells."""
    body = dict(found.body)
    if scope.account_key is None:
        policy = dict(cells)
    else:
        stored = body.get(CALL_RECORDING)
        policy = {**(stored if isinstance(stored, Mapping) else {}), scope.account_key: cells}
        policy = {name: value for name, value in policy.items() if value}
    body[CALL_RECORDING] = policy
    if not policy:
        del body[CALL_RECORDING]
    return body


def _check_device(principal: Principal, document: PolicyDocument) -> None:
    """Raise `NotFound` if a device belongs to another owner than the principal."""
    if document.kind is DocumentKind.DEVICE and principal.owner_id not in {None, document.owner_id}:
        raise _not_found(document.kind, document.id)


def _checked_id(identity: str | None) -> str:
    if identity is None or not 0 < len(identity) <= MAX_ID or not identity.isprintable() or not is_storable(identity):
        raise InvalidInput.of(("id",), "maxLength", identity, f"1 to {MAX_ID} printable characters")
    return identity


def _account_document_id(identity: str | None, account_id: str) -> str:
    # A client that means another account would otherwise change the policy of its own one.
    if identity not in {None, account_id}:
        allowed = "left out for a policy of the whole account, or be the id of the account"
        raise InvalidInput.of(("id",), "additionalProperties", identity, allowed)
    return account_id


def _not_found(kind: DocumentKind, identity: str) -> NotFound:
    return NotFound(f"there is no {kind} {identity[:MAX_ID]!r}", path=("id",))


def _check_size(body: Mapping[str, Any]) -> None:
    # The depth comes first: the encoder below is recursive.
    if _depth(body) > MAX_DEPTH:
        raise InvalidInput.of(("data",), "maxDepth", None, f"nested at most {MAX_DEPTH} levels deep")
    size = len(json.dumps(body).encode())
    if size > MAX_BYTES:
        raise InvalidInput.of(("data",), "maxSize", f"{size} bytes", f"at most {MAX_BYTES} bytes as JSON")


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            item
            for each in level
            if isinstance(each, Mapping | list)
            for item in (each.values() if isinstance(each, Mapping) else each)
        ]
    return depth


def _without_urls(value: Any) -> Any:
    """Return JSON without the URLs of the `call_recording`."""
    policy = value.get(CALL_RECORDING)
    return value if policy is None else {**value, CALL_RECORDING: _pruned(policy)}


def _pruned(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _pruned(item) for name, item in value.items() if name != "url"}


def _event_of(document: PolicyDocument) -> FeedEvent:
    return FeedEvent(
        account_id=document.account_id,
        # Two accounts may have users with the same id.
        subject=f"{document.account_id}:{document.kind}:{document.id}",
        revision=document.revision,
        type=EventType.POLICY_CHANGED,
        time=document.modified,
    )
