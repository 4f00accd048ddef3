"""The report of `/readyz` on the other workers of this server."""

from graph.settings.worker import Worker
from recordings.ports.peers import PeerStore
from recordings.ports.recording_store import StoreUnavailableError


async def missing_workers(worker: Worker, peers: PeerStore) -> str | None:
    """Return in words which workers do not run now; `None` if all run."""
    try:
        alive = {found.peer.node for found in await peers.servers(worker.urls) if found.is_alive}
    except StoreUnavailableError:
        # The check of the metadata store reports it.
        return None
    missing = [str(number) for number, node in enumerate(worker.urls, 1) if node not in alive]
    return f"not running: worker {', '.join(missing)} of {len(worker.urls)}" if missing else None
