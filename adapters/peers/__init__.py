"""Servers that share one metadata store: each tells of its live calls, and does to them what another one was asked to.

Authorisation is done where a request comes in, in the use cases. What goes from server to server is a command, signed
with a key that only the servers of the installation have, and a server obeys no other.
"""

from adapters.peers.announcer import Announcer
from adapters.peers.client import PeerClient
from adapters.peers.commands import Command, Commands, Verb
from adapters.peers.recorder import PeerRecorder
from adapters.peers.routes import peer_routes

__all__ = ["Announcer", "Command", "Commands", "PeerClient", "PeerRecorder", "Verb", "peer_routes"]
