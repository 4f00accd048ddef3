"""Verifying the audit trail: every entry, every chain and every seal."""

import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recordings.model.audit_entry import ChainName, Link, Seal, StoredEntry
from recordings.model.instants import Millis, to_iso
from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.audit_seals import SealArchive, SealSigner
from recordings.ports.audit_store import AuditStore
from recordings.rules.audit_chain import hash_of, problem_of
from recordings.use_cases.audit_seal import SealContent, digest_of, number_of, read_seal, seal_id, write_seal
from recordings.use_cases.seal_audit import last_seal

PAGE: Final = 1_000
MAX_BREAKS: Final = 100
_EXPORT: Final = "export"
"""The writer of a statement. No node has this id."""
_ENDS_PER_CHAIN: Final = 32
"""How many of the latest seals of a chain are compared with it. Each of them covers all entries before it."""


@dataclass(slots=True)
class AuditReport:
    """What a verification found. `breaks` has the first break of each chain, in the order of the chains."""

    entries: int = 0
    chains: int = 0
    seals: int = 0
    unsealed: int = 0
    """Entries after the last seal of their chain. If they were removed, no seal would say so."""
    breaks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Statements:
    """The statements of all seals about a chain."""

    ends: deque[tuple[Link, str]] = field(default_factory=lambda: deque(maxlen=_ENDS_PER_CHAIN))
    root: Link = field(default_factory=Link)


class AuditVerifier:
    """Verifies the trails of all accounts, by all writers."""

    def __init__(self, store: AuditStore, archive: SealArchive, signer: SealSigner, node: str) -> None:
        """`node` is a writer whose seals are expected, even if the metadata store has nothing of it."""
        self._node = node
        self._store = store
        self._archive = archive
        self._signer = signer

    async def verify(self) -> AuditReport:
        """Verify the trail. It may grow during the verification."""
        report = AuditReport()
        statements = await self._read_seals(report)
        unseen = set(statements)
        after: ChainName | None = None
        while names := await self._store.chains(after, PAGE):
            for name in names:
                unseen.discard(name)
                await self._check_chain(report, name, statements.get(name, _Statements()))
            after = names[-1]
        for name in sorted(unseen):
            await self._check_chain(report, name, statements[name])
        return report

    def statement(self, starts: Mapping[ChainName, Link], ends: Mapping[ChainName, Link], now: Millis) -> str:
        """Return a signed statement about exported chains: the links before their first entries, and their ends."""
        content = SealContent(
            writer=_EXPORT, number=0, at=now, prev="", keys=tuple(self._signer.keys()), ends=ends, roots=starts
        )
        return write_seal(content, self._signer).text

    def verify_export(self, lines: Iterable[Mapping[str, Any]]) -> AuditReport:
        """Verify the lines of an export: the hashes, the links of each chain, and the statement at the end.

        The first entry of a chain may follow others, if the export is of a period.
        """
        report, starts, ends = AuditReport(), dict[ChainName, Link](), dict[ChainName, Link]()
        content = None
        for line in lines:
            if "statement" in line:
                content = read_seal(str(line["statement"]), self._signer, self._signer.keys())
                continue
            report.entries += 1
            name = ChainName(line["account"] or "", line["writer"])
            before, values = ends.get(name), _claimed(line)
            starts.setdefault(name, Link(line["seq"] - 1, line["prev"]))
            is_same = all(line.get(key) == value for key, value in values.items())
            if hash_of(line["prev"], line["body"]) != line["hash"] or not is_same:
                report.breaks.append(f"line {report.entries}, entry {line['id']}: its content does not match its hash")
            elif before is not None and (line["seq"], line["prev"]) != (before.seq + 1, before.hash):
                report.breaks.append(
                    f"line {report.entries}, entry {line['id']}: it does not continue the one before it"
                )
            ends[name] = Link(line["seq"], line["hash"])
        report.chains = len(ends)
        if content is None or content.writer != _EXPORT:
            # A seal has a valid signature, too, but it says nothing about an export.
            report.breaks.append("the statement at the end is missing, or its signature is not valid")
        elif dict(content.ends) != ends:
            report.breaks.append("the ends of the chains differ from the statement: entries are missing at an end")
        elif dict(content.roots) != starts:
            report.breaks.append("the first entries differ from the statement: entries are missing at a beginning")
        return report

    async def _read_seals(self, report: AuditReport) -> Mapping[ChainName, _Statements]:
        by_writer: dict[str, list[str]] = defaultdict(list)
        broken: set[str] = set()
        async for seal in self._stored():
            texts = by_writer[seal.writer]
            if number_of(seal) != len(texts) + 1 and seal.writer not in broken:
                broken.add(seal.writer)
                report.breaks.append(f"the seal {seal_id(seal.writer, len(texts) + 1)} is missing")
            texts.append(seal.text)
        statements: dict[ChainName, _Statements] = defaultdict(_Statements)
        for writer, texts in sorted(by_writer.items()):
            await self._add_archived(report, writer, texts, broken)
            for content in self._contents(report, writer, texts):
                _note(statements, content)
        report.seals = sum(map(len, by_writer.values()))
        return statements

    async def _stored(self) -> AsyncIterator[Seal]:
        after = ""
        while found := await self._store.seals(after, PAGE):
            for seal in found:
                yield seal
            after = found[-1].id
        # The seals of a writer may all be gone from the metadata store.
        writers = {self._node}
        chain: ChainName | None = None
        while names := await self._store.chains(chain, PAGE):
            writers |= {name.writer.removesuffix("-cli") for name in names}
            chain = names[-1]
        for writer in sorted(writers):
            first = None if await last_seal(self._store, writer) else await self._first_archived(writer)
            if first is not None:
                yield Seal(id=seal_id(writer, 1), writer=writer, at=0, text=first)

    async def _first_archived(self, writer: str) -> str | None:
        try:
            return await self._archive.get(writer, 1)
        except MediaStoreUnavailableError:
            # A new installation has no media store yet.
            return None

    async def _add_archived(self, report: AuditReport, writer: str, texts: list[str], broken: set[str]) -> None:
        """Compare the seals with the archive, and add the seals that only the archive has."""
        for number, text in enumerate(texts, 1):
            archived = await self._archive.get(writer, number)
            if archived != text and writer not in broken:
                broken.add(writer)
                how = "is missing in the media store" if archived is None else "differs from the one in the media store"
                report.breaks.append(f"the seal {seal_id(writer, number)} {how}")
        while (later := await self._archive.get(writer, len(texts) + 1)) is not None:
            texts.append(later)

    def _contents(self, report: AuditReport, writer: str, texts: list[str]) -> list[SealContent]:
        """Return the contents of the valid seals, the oldest first. A later seal names the keys of earlier ones."""
        trusted, found, first_bad = set(self._signer.keys()), list[SealContent](), None
        for number in range(len(texts), 0, -1):
            content = read_seal(texts[number - 1], self._signer, trusted)
            prev = digest_of(texts[number - 2]) if number > 1 else ""
            if content is None or (content.writer, content.number, content.prev) != (writer, number, prev):
                first_bad = number
                continue
            trusted.update(content.keys)
            found.append(content)
        if first_bad is not None:
            why = "its signature is not valid, or it does not continue the seal before it"
            report.breaks.append(f"the seal {seal_id(writer, first_bad)} is forged: {why}")
        return found[::-1]

    async def _check_chain(self, report: AuditReport, name: ChainName, said: _Statements) -> None:
        report.chains += 1
        sealed = {link.seq: (link.hash, at) for link, at in said.ends}
        before: Link | None = Link()
        last = max(0, said.root.seq - 1)
        if last:
            # The entries before a sealed root are deleted, or will be.
            before = None
        while entries := await self._store.chain_entries(name, last, PAGE):
            for entry in entries:
                report.entries += 1
                problem = _problem(entry, before, said.root) or _against_seal(entry, sealed)
                if problem is not None:
                    return self._break(report, name, entry, problem)
                before = entry.link
            last = entries[-1].seq
        highest = max([said.root.seq, *sealed])
        reached = 0 if before is None else before.seq
        if highest > reached:
            missing = f"the entries {reached + 1} to {highest} are missing at the end, but a seal has them"
            return self._break(report, name, None, missing)
        report.unsealed += reached - highest
        return None

    def _break(self, report: AuditReport, name: ChainName, entry: StoredEntry | None, problem: str) -> None:
        if len(report.breaks) >= MAX_BREAKS:
            return
        where = f"chain {name.account_id or 'of the installation'} by {name.writer}"
        if entry is not None:
            where += f", entry {entry.seq} ({entry.id}, {to_iso(entry.at)})"
        report.breaks.append(f"{where}: {problem}")


def _claimed(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of a line that its body has, too."""
    try:
        body = json.loads(line["body"])
        return {
            "at": to_iso(body["at"]), "account": body["account_id"] or None, "action": body["action"],
            "outcome": body["outcome"], "object_type": body["object"]["type"], "object": body["object"]["id"],
            "actor": body["actor"]["id"], "actor_kind": body["actor"]["kind"], "name": body["actor"]["name"],
            "way": body["origin"]["way"], "ip": body["origin"]["ip"], "id": body["id"], "seq": body["seq"],
            "writer": body["writer"], "details": body["details"],
            "actor_account": body["actor"]["account_id"] or None, "user_agent": body["origin"]["user_agent"],
            "request": body["origin"]["request_id"],
        }  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return {"body": None}


def _note(statements: dict[ChainName, _Statements], content: SealContent) -> None:
    for name, end in content.ends.items():
        statements[name].ends.append((end, seal_id(content.writer, content.number)))
    for name, root in content.roots.items():
        if root.seq > statements[name].root.seq:
            statements[name].root = root


def _problem(entry: StoredEntry, before: Link | None, root: Link) -> str | None:
    if entry.link == root and not entry.body:
        return None
    if before is None and entry.seq != root.seq:
        return f"the entries {root.seq} to {entry.seq - 1} before it are missing"
    if not entry.body:
        return "its content is missing"
    if entry.seq == root.seq and entry.hash != root.hash:
        return "it differs from the root that a seal has"
    return problem_of(entry, before)


def _against_seal(entry: StoredEntry, sealed: Mapping[int, tuple[str, str]]) -> str | None:
    found = sealed.get(entry.seq)
    return None if found is None or found[0] == entry.hash else f"it differs from the seal {found[1]}"
