"""The keys of one purpose: one signs, and signatures of all are valid, so that the signing key can be replaced."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret that is derived for one purpose, and the id of the installation's key that it comes from."""

    id: str
    secret: bytes = field(repr=False)


class SigningKeys:
    """The keys of one purpose. They change while the process runs, when the installation's key is rotated.

    `accepted` has the signing key first. It is another object after each change, so a user can keep values that
    it computed from the keys until then.
    """

    def __init__(self, accepted: Iterable[SigningKey]) -> None:
        self.accepted = tuple(accepted)

    @classmethod
    def of(cls, keys: "bytes | SigningKeys") -> "SigningKeys":
        """Return the keys. A single secret becomes a key that never changes."""
        return cls([SigningKey("", keys)]) if isinstance(keys, bytes) else keys

    @property
    def signing(self) -> SigningKey:
        """The key that signs."""
        return self.accepted[0]

    def replace(self, accepted: Iterable[SigningKey]) -> None:
        """Replace all keys."""
        self.accepted = tuple(accepted)
