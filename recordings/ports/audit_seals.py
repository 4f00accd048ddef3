"""The ports for signed seals of the audit trail."""

from collections.abc import Collection
from typing import Protocol


class SealSigner(Protocol):
    """Signs and checks texts with Ed25519. Public keys and signatures are hexadecimal digits."""

    def sign(self, text: str) -> tuple[str, str]:
        """Return the public key and the signature of a text, both in hexadecimal digits."""

    def keys(self) -> Collection[str]:
        """Return the public keys of the installation's keys."""

    def is_signed(self, text: str, key: str, signature: str) -> bool:
        """Return true if the signature of a text is that of the key."""


class SealArchive(Protocol):
    """Keeps seals apart from the metadata store, so that a change of that store is noticed."""

    async def put(self, writer: str, number: int, text: str) -> None:
        """Store a seal. Raise an error of the media store if it cannot be stored."""

    async def get(self, writer: str, number: int) -> str | None:
        """Return a seal; `None` if there is none."""
