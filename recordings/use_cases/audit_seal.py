"""Seals: signed statements about the chains of one node, in a chain of their own.

A seal has the ends of the chains that changed since the seal before it, and the roots of the chains whose older entries
are deleted. It also has the public keys of the installation, so that it can be checked after a key was replaced.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from recordings.model.audit_entry import ChainName, Link, Seal
from recordings.model.instants import Millis
from recordings.ports.audit_seals import SealSigner
from recordings.rules.audit_chain import canonical

_WIDTH: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SealContent:
    """What a seal says."""

    writer: str
    number: int
    at: Millis
    prev: str
    keys: Sequence[str]
    ends: Mapping[ChainName, Link]
    roots: Mapping[ChainName, Link]


def seal_id(writer: str, number: int) -> str:
    """Return the id of a seal. The ids of one writer sort by number."""
    return f"{writer}:{number:0{_WIDTH}}"


def number_of(seal: Seal) -> int:
    """Return the number of a seal."""
    return int(seal.id.rpartition(":")[2])


def digest_of(text: str) -> str:
    """Return the digest of a seal, which the next seal contains."""
    return sha256(text.encode()).hexdigest()


def write_seal(content: SealContent, signer: SealSigner) -> Seal:
    """Return the signed seal."""
    body = canonical(
        {
            "writer": content.writer,
            "number": content.number,
            "at": content.at,
            "prev": content.prev,
            "keys": sorted(content.keys),
            "ends": _rows(content.ends),
            "roots": _rows(content.roots),
        }
    )
    key, signature = signer.sign(body)
    text = canonical({"body": body, "key": key, "signature": signature})
    return Seal(id=seal_id(content.writer, content.number), writer=content.writer, at=content.at, text=text)


def read_seal(text: str, signer: SealSigner, trusted: Iterable[str]) -> SealContent | None:
    """Return the content of a seal; `None` if the signature is not valid, or the key is not trusted."""
    try:
        parts = json.loads(text)
        body, key, signature = str(parts["body"]), str(parts["key"]), str(parts["signature"])
        if key not in set(trusted) or not signer.is_signed(body, key, signature):
            return None
        values = json.loads(body)
        return SealContent(
            writer=values["writer"],
            number=values["number"],
            at=values["at"],
            prev=values["prev"],
            keys=tuple(values["keys"]),
            ends=_links(values["ends"]),
            roots=_links(values["roots"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _rows(links: Mapping[ChainName, Link]) -> list[list[Any]]:
    return [[name.account_id, name.writer, each.seq, each.hash] for name, each in sorted(links.items())]


def _links(rows: Iterable[Sequence[Any]]) -> dict[ChainName, Link]:
    return {ChainName(account_id, writer): Link(seq, digest) for account_id, writer, seq, digest in rows}
