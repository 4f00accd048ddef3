"""Read the policies that matter for a call, with a short cache."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.model.recording_policy import DocumentKind, Plan, PolicyCall, PolicyDocument, PolicyDocuments
from recordings.ports.clock import Clock
from recordings.ports.policy_store import PolicyStore
from recordings.rules.policy_cells import Layers, layers_of
from recordings.rules.resolve_policy import plan

FRESH: Final[Millis] = 500
"""How long policies are cached. A change takes effect on every server within this time."""
_MAX_CACHED: Final = 4_096
_Key = tuple[str, str | None, str | None]


class PolicyReader:
    """Reads the policies for calls. One server shares one reader, so that its own changes take effect at once."""

    def __init__(self, store: PolicyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cached: OrderedDict[_Key, tuple[Millis, Layers]] = OrderedDict()

    async def plan(self, call: Call) -> Plan:
        """Return the decision about a live call."""
        return plan(await self.layers(call.account_id, call.owner_id, call.endpoint_id), PolicyCall.of(call))

    async def layers(self, account_id: str, owner_id: str | None, endpoint_id: str | None) -> Layers:
        """Return the policies for an account, a user and a device. The user is the owner of the device by default."""
        key, now = (account_id, owner_id, endpoint_id), self._clock.now()
        found = self._cached.get(key)
        if found is not None and found[0] <= now < found[0] + FRESH:
            return found[1]
        layers = layers_of(await self.documents(account_id, owner_id, endpoint_id))
        self._cached[key] = (now, layers)
        self._cached.move_to_end(key)
        if len(self._cached) > _MAX_CACHED:
            self._cached.popitem(last=False)
        return layers

    async def documents(self, account_id: str, owner_id: str | None, endpoint_id: str | None) -> PolicyDocuments:
        """Return the documents of an account, a user and a device, as they are now."""
        found = await self._read(account_id, owner_id, endpoint_id)
        device = found.get(DocumentKind.DEVICE)
        if owner_id is None and device is not None and device.owner_id is not None:
            found = {**found, **await self._read(account_id, device.owner_id, None)}
        return PolicyDocuments(found.get(DocumentKind.ACCOUNT), found.get(DocumentKind.USER), device)

    async def _read(
        self, account_id: str, owner_id: str | None, endpoint_id: str | None
    ) -> Mapping[DocumentKind, PolicyDocument]:
        ids = {DocumentKind.ACCOUNT: account_id, DocumentKind.USER: owner_id, DocumentKind.DEVICE: endpoint_id}
        names = [(kind, identity) for kind, identity in ids.items() if identity is not None]
        return {document.kind: document for document in await self._store.policy_documents(account_id, names)}

    def forget(self, account_id: str) -> None:
        """Read the policies of an account again at the next call."""
        for key in [key for key in self._cached if key[0] == account_id]:
            del self._cached[key]
