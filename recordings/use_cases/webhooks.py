"""The use cases for webhooks: create, change, delete, read, test, rotate the secret, replay, enable again.

All of them need the scope ADMIN, because a webhook gets the events of all owners, and its URL may contain a secret.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import (
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidState,
    NotFound,
    Problem,
    problem,
)
from recordings.model.ids import MAX_ID, is_hex_id, new_id
from recordings.model.instants import LATEST, Millis, to_iso
from recordings.model.options import MAX_URL, WEB
from recordings.model.webhook import (
    MAX_ATTEMPTS_KEPT,
    MAX_WEBHOOKS,
    Replay,
    Webhook,
    WebhookAttempt,
    WebhookProgress,
    start_of,
)
from recordings.ports.audit import Audit, Refusals
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.ports.webhook_store import Endpoint
from recordings.rules.access import require_scope
from recordings.rules.webhook_retries import KNOWN_AFTER
from recordings.rules.webhook_settings import problems_of, types_of, with_key, with_values
from recordings.rules.webhook_signature import new_secret_pair
from recordings.use_cases.authorized import Authorized
from recordings.use_cases.event_reader import cursor_behind_visible
from recordings.use_cases.save_event import MAX_TRIES
from recordings.use_cases.webhook_attempt import WebhookRequests
from recordings.use_cases.webhook_secrets import WebhookSecrets

CheckUrl = Callable[[str], str | None]
"""Returns why no request may be sent to a URL, or `None` if it is allowed."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A webhook, and its secret. The secret is shown only once. It is `None` if it was shown, and replaced since."""

    endpoint: Endpoint
    secret: str | None


class Webhooks:
    """Reads and changes webhooks for a principal. Anything that the principal may not access is `NotFound`.

    Values are given by name: `url`, `name`, `types`, `where` and `filter`, `include`, `format`, `verb`, `descendants`,
    `kazoo`, `custom_data`, `overlap`, `enabled`. Only given values change. `types` of `None` means all types.
    """

    def __init__(
        self,
        *,
        store: MetadataStore,
        secrets: WebhookSecrets,
        requests: WebhookRequests,
        clock: Clock,
        audit: Audit,
        check_url: CheckUrl,
        ring: Callable[[str], None],
    ) -> None:
        """`ring` tells the sender of this process that a webhook has work."""
        self._store = store
        self._secrets = secrets
        self._requests = requests
        self._clock = clock
        self._audit = audit
        self._check_url = check_url
        self._ring = ring
        self._authorized = Authorized(store)

    # Read

    async def find(self, principal: Principal, webhook_id: str) -> Endpoint:
        """Return a webhook. `NotFound` without access."""
        with Refusals(self._audit, principal, AuditAction.READ, AuditObject("webhook", webhook_id[:MAX_ID])):
            found = await self._load(principal, webhook_id)
        self._audit.count(principal, AuditAction.READ, AuditObject("webhook", webhook_id, found.webhook.account_id))
        return found

    async def of_account(self, principal: Principal, account_id: str | None = None) -> Sequence[Endpoint]:
        """Return the webhooks of an account, the oldest first."""
        target = AuditObject("webhooks", None, account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.LIST, target):
            account_id = await self._account_of(principal, account_id)
        self._audit.count(principal, AuditAction.LIST, target)
        return await self._store.webhooks(account_id, MAX_WEBHOOKS)

    async def attempts(
        self, principal: Principal, webhook_id: str, limit: int = MAX_ATTEMPTS_KEPT
    ) -> Sequence[WebhookAttempt]:
        """Return the last attempts of a webhook, the newest first."""
        if not 1 <= limit <= MAX_ATTEMPTS_KEPT:
            raise InvalidInput.of(("first",), "maximum", limit, f"an integer from 1 to {MAX_ATTEMPTS_KEPT}")
        await self.find(principal, webhook_id)
        return await self._store.webhook_attempts(webhook_id, limit)

    async def public_keys(self, principal: Principal, webhook_id: str) -> Sequence[str]:
        """Return the public keys for the signatures of a webhook, the newest first. Raises `CannotUnsealError`."""
        return await self._secrets.public_keys((await self.find(principal, webhook_id)).webhook)

    # Change

    async def create(
        self,
        principal: Principal,
        values: Mapping[str, Any],
        account_id: str | None = None,
        secret: str | None = None,
        key: str | None = None,
    ) -> NewSecret:
        """Create a webhook. It gets the events from now on. Without `secret`, make one.

        A repeated request with the same `key` returns the same webhook; and its secret, unless it was changed since.

        Raises:
            Forbidden: the scope ADMIN is missing, or the credentials belong to one owner.
            NotFound: the principal may not access the account.
            InvalidInput: a value or the secret is not allowed, or the account has `MAX_WEBHOOKS` webhooks.
            IdempotencyKeyReused: the key was used for another webhook.
        """
        target = AuditObject("webhook", None, account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.WEBHOOK, target):
            account_id = await self._account_of(principal, account_id)
            now = self._clock.now()
            blank = Webhook(id=new_id(), account_id=account_id, url="", created=now, modified=now)
            webhook = with_key(self._changed(blank, {"url": "", **values}), key, values, secret)
            pair = new_secret_pair(secret)
            if key is not None and (made := await self._made_before(webhook)) is not None:
                return made
            if len(await self._store.webhooks(account_id, MAX_WEBHOOKS)) >= MAX_WEBHOOKS:
                allowed = f"one of {MAX_WEBHOOKS} webhooks at most: delete one first"
                raise InvalidInput.of(("accountId",), "maxItems", account_id, allowed)
            target = AuditObject("webhook", webhook.id, account_id)
            # Two requests with one key and without a secret must return the same one.
            await self._secrets.replace(principal, webhook, pair, if_missing=secret is None)
            await self._audit.record(principal, AuditAction.WEBHOOK, target, change="create")
            cursor = await cursor_behind_visible(self._store, webhook.selection, now)
            progress = WebhookProgress(webhook_id=webhook.id, cursor=cursor, due_at=now + KNOWN_AFTER)
            if not await self._store.insert_webhook(webhook, progress):
                made = await self._made_before(webhook)
                if made is None:
                    raise _keeps_changing(webhook.id)
                return made
        self._ring(webhook.id)
        return NewSecret(Endpoint(webhook, progress), await self._secrets.current(webhook))

    async def _made_before(self, webhook: Webhook) -> NewSecret | None:
        """Return the webhook that an earlier request with the same idempotency key made."""
        found = await self._store.webhook(webhook.id)
        if found is None:
            return None
        if found.webhook.fingerprint != webhook.fingerprint:
            message = "this idempotency key was used for another webhook"
            raise IdempotencyKeyReused(message, path=("idempotencyKey",))
        is_unchanged = found.webhook.revision == webhook.revision
        return NewSecret(found, await self._secrets.current(found.webhook) if is_unchanged else None)

    async def update(
        self, principal: Principal, webhook_id: str, values: Mapping[str, Any], revision: int | None = None
    ) -> Endpoint:
        """Change a webhook, if it has this `revision`.

        A webhook that is enabled again continues where its delivery stopped. With another URL, its waiting events are
        tried again at once. Raises as `create`, and `Conflict` if the revision is another one.
        """
        with self._refusals(principal, webhook_id):
            for _ in range(MAX_TRIES):
                found = await self._load(principal, webhook_id)
                if revision not in {None, found.webhook.revision}:
                    message = f"the webhook has the revision {found.webhook.revision}, not {revision}: read it again"
                    raise Conflict(message, path=("revision",))
                changed = self._changed(found.webhook, values)
                await self._record(principal, changed, "update", fields=sorted(values))
                if await self._store.save_webhook(changed):
                    is_other = not found.webhook.enabled or changed.url != found.webhook.url
                    await self._restart(webhook_id, is_fresh=changed.enabled and is_other)
                    return await self._load(principal, webhook_id)
            raise _keeps_changing(webhook_id)

    async def delete(self, principal: Principal, webhook_id: str) -> Webhook:
        """Delete a webhook, its attempts and its secret."""
        with self._refusals(principal, webhook_id):
            webhook = (await self._load(principal, webhook_id)).webhook
            await self._record(principal, webhook, "delete")
            await self._store.delete_webhook(webhook_id)
            await self._secrets.delete(principal, webhook)
        self._ring(webhook_id)
        return webhook

    async def rotate_secret(
        self, principal: Principal, webhook_id: str, secret: str | None = None, overlap: Millis | None = None
    ) -> NewSecret:
        """Set a new secret and a new key. Without `secret`, make one. The former ones sign, too, for `overlap`.

        A repeated request with the same `secret` changes nothing. After a crash between the writes, the webhook signs
        as before.

        Raises:
            InvalidInput: the secret or the overlap is not allowed.
        """
        with self._refusals(principal, webhook_id):
            given = {} if overlap is None else {"overlap": overlap}
            for _ in range(MAX_TRIES):
                found = await self._load(principal, webhook_id)
                pair = new_secret_pair(secret)
                if secret is not None and await self._secrets.current(found.webhook) == secret:
                    return NewSecret(found, secret)
                if self._clock.now() >= found.webhook.old_secret_until:
                    # Otherwise it would sign again if this process died before it sets the new secret.
                    await self._secrets.delete_old(principal, found.webhook)
                changed = self._changed(found.webhook, given)
                changed = replace(changed, old_secret_until=self._clock.now() + changed.overlap)
                await self._record(principal, changed, "rotate secret")
                # First the time: a secret is never without the signature of the former one.
                if await self._store.save_webhook(changed):
                    await self._restart(webhook_id, is_fresh=False)
                    await self._secrets.replace(principal, changed, pair)
                    if found.progress.failures:
                        # The receiver may have rejected the former signatures.
                        await self._restart(webhook_id, is_fresh=True)
                    return NewSecret(await self._load(principal, webhook_id), pair.secret)
            raise _keeps_changing(webhook_id)

    async def replay(
        self,
        principal: Principal,
        webhook_id: str,
        since: Millis,
        until: Millis | None = None,
        types: Collection[str] | None = None,
    ) -> Endpoint:
        """Send the events from `since` to before `until` again, of all types of the webhook or of these.

        Waiting events are tried again at once.

        Raises:
            InvalidInput: a time or a type is not allowed.
            InvalidState: the webhook is disabled, or another replay is running.
        """
        with self._refusals(principal, webhook_id):
            now = self._clock.now()
            end = now if until is None else until
            if not 0 <= since < end <= LATEST:
                given = to_iso(since) if 0 <= since <= LATEST else since
                raise InvalidInput.of(("since",), "maximum", given, f"a time before {to_iso(min(end, LATEST))}")
            for _ in range(MAX_TRIES):
                webhook, progress = await self._enabled(principal, webhook_id)
                wanted = None if types is None else types_of(types, webhook.wanted)
                if progress.replay is not None:
                    running = f"from {to_iso(progress.replay.since)} to {to_iso(progress.replay.until)}"
                    raise InvalidState(f"a replay {running} is running: wait for its end", path=("id",))
                await self._record(principal, webhook, "replay", since=to_iso(since), until=to_iso(end))
                first = progress.given_up_since
                is_all = wanted is None and end >= now and (first is None or since <= first)
                changed = replace(
                    progress,
                    cursor=start_of(since),
                    replay=Replay(since=since, until=end, types=wanted, resume=progress.cursor),
                    waiting=tuple(replace(each, due_at=now) for each in progress.waiting),
                    pauses=0,
                    pause_until=0,
                    given_up=0 if is_all else progress.given_up,
                    given_up_since=None if is_all else first,
                    due_at=now,
                    holder="",
                    revision=progress.revision + 1,
                )
                if await self._store.save_progress(changed):
                    self._ring(webhook_id)
                    return Endpoint(webhook, changed)
            raise _keeps_changing(webhook_id)

    async def test(self, principal: Principal, webhook_id: str) -> WebhookAttempt:
        """Send an event of the type `webhook.test` now, also to a disabled webhook. Return the attempt."""
        with self._refusals(principal, webhook_id):
            webhook = (await self._load(principal, webhook_id)).webhook
            await self._record(principal, webhook, "test")
            attempt = await self._requests.test(webhook)
            for _ in range(MAX_TRIES):
                progress = (await self._load(principal, webhook_id)).progress
                numbered = replace(attempt, number=progress.sent)
                # This ends the lease of a server that delivers now, so it must be free for the next one.
                changed = replace(
                    progress,
                    sent=progress.sent + 1,
                    due_at=self._clock.now(),
                    holder="",
                    revision=progress.revision + 1,
                )
                if await self._store.save_progress(changed, [numbered]):
                    self._ring(webhook_id)
                    return numbered
            raise _keeps_changing(webhook_id)

    # Parts

    async def _account_of(self, principal: Principal, account_id: str | None) -> str:
        require_scope(principal, Scope.ADMIN)
        account_id = await self._authorized.account_id(principal, account_id)
        if principal.owner_id is not None:
            message = "the credentials of one owner cannot access the webhooks of the account"
            raise Forbidden(message)
        return account_id

    async def _load(self, principal: Principal, webhook_id: str) -> Endpoint:
        require_scope(principal, Scope.ADMIN)
        found = await self._store.webhook(webhook_id) if is_hex_id(webhook_id) else None
        if found is not None and principal.owner_id is None:
            tree = await self._authorized.tree(found.webhook.account_id)
            if principal.account_id in (found.webhook.account_id, *(tree or ())):
                return found
        raise NotFound(f"there is no webhook {webhook_id[:MAX_ID]!r}", path=("id",))

    async def _enabled(self, principal: Principal, webhook_id: str) -> tuple[Webhook, WebhookProgress]:
        found = await self._load(principal, webhook_id)
        if not found.webhook.enabled:
            raise InvalidState(f"the webhook {webhook_id} is disabled: enable it first", path=("id",))
        return found.webhook, found.progress

    async def _restart(self, webhook_id: str, *, is_fresh: bool) -> None:
        """End the lease of a webhook, so that a server starts it with its new settings. A fresh one has no failures."""
        for _ in range(MAX_TRIES):
            found = await self._store.webhook(webhook_id)
            if found is None:
                break
            progress, now = found.progress, self._clock.now()
            if is_fresh:
                waiting = tuple(replace(each, attempts=0, due_at=now) for each in progress.waiting)
                progress = replace(progress, waiting=waiting, failures=0, failing_since=None, pauses=0, pause_until=0)
            progress = replace(progress, due_at=now, holder="", revision=progress.revision + 1)
            if await self._store.save_progress(progress):
                break
        self._ring(webhook_id)

    async def _record(self, principal: Principal, webhook: Webhook, change: str, **details: Any) -> None:
        target = AuditObject("webhook", webhook.id, webhook.account_id)
        await self._audit.record(principal, AuditAction.WEBHOOK, target, change=change, **details)

    def _refusals(self, principal: Principal, webhook_id: str) -> Refusals:
        return Refusals(self._audit, principal, AuditAction.WEBHOOK, AuditObject("webhook", webhook_id[:MAX_ID]))

    def _changed(self, webhook: Webhook, values: Mapping[str, Any]) -> Webhook:
        """Return the webhook with other values and the next revision; a blank one with its first revision."""
        changed = with_values(webhook, values, self._clock.now())
        problems = [*self._url_problems(changed.url), *problems_of(changed)]
        if problems:
            raise InvalidInput(problems)
        return changed

    def _url_problems(self, url: str) -> list[Problem]:
        allowed = f"an absolute http or https URL of at most {MAX_URL} characters"
        if not url.lower().startswith(WEB) or len(url) > MAX_URL or not url.isprintable() or " " in url:
            return [problem(("url",), "pattern", url, allowed)]
        refused = self._check_url(url)
        return [] if refused is None else [problem(("url",), "pattern", url, f"an allowed URL ({refused})")]


def _keeps_changing(webhook_id: str) -> Conflict:
    return Conflict(f"the webhook {webhook_id} keeps changing: try again")
