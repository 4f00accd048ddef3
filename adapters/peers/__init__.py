"""Servers that share one metadata store: each tells of its live calls, and does to them what another one was asked to.

Authorisation is done where a request comes in, in the use cases. What goes from server to server is a command, signed
with a key that only the servers of the installation have, and a server obeys no other.
"""

from adapters.peers.announcer import Announcer
from adapters.peers.cluster_recorder import PeerRecorder
from adapters.peers.peer_client import PeerClient
from adapters.peers.peer_routes import peer_routes
from adapters.peers.signed_commands import Command, Commands, Verb

__all__ = ["Announcer", "Command", "Commands", "PeerClient", "PeerRecorder", "Verb", "peer_routes"]
