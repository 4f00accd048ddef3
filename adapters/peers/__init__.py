"""The other servers of an installation, which share its metadata store.

Each server publishes its live calls, and executes commands of the other servers for these calls. The server that
receives a client's request authorizes it, in the use cases. A command between servers is signed with a key that only
the servers of the installation have. A server rejects all other commands.
"""

from adapters.peers.cluster_recorder import ClusterRecorder
from adapters.peers.peer_client import PeerClient
from adapters.peers.peer_routes import peer_routes
from adapters.peers.presence_publisher import PresencePublisher
from adapters.peers.signed_commands import Command, CommandSigner, Verb

__all__ = ["ClusterRecorder", "Command", "CommandSigner", "PeerClient", "PresencePublisher", "Verb", "peer_routes"]
