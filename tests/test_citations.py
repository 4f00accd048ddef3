"""Every citation of a section has a target: a rule of the v2 contract, an RFC, or a heading of a file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[1]
CONTRACT: Final = "docs/v2_contract.md"
SUFFIXES: Final = {".py", ".md", ".graphql"}
STATUSES: Final = ("As the reference", "Differs", "Not offered")

_LINE_BREAK: Final = re.compile(r'"?\n[ \t]*(?:#[ \t]*|>[ \t]*)?(?:f?")?')
_NUMBERS: Final = r"\d+(?:\.\d+)*(?:(?:,? (?:and|or|to) |, )\d+(?:\.\d+)*)*"
_CITATION: Final = re.compile(
    rf"(?:(?P<rfc>RFC \d{{3,5}})|`?(?P<file>[\w./-]+\.md)`?(?:\]\([^)]*\))?)?,? ?\b[Ss]ections? (?P<numbers>{_NUMBERS})"
)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)*")
_NO_TARGET: Final = re.compile(
    r"\bcontract,? (?:sections? )?\d|\bdecisions? D\d|(?<!\w)\(seed\)|\bthe seed:", re.IGNORECASE
)
_HEADING: Final = re.compile(r"^#+ (\d+(?:\.\d+)*) ", re.MULTILINE)
_RULE: Final = re.compile(r"^- \*\*(\d+\.\d+\.\d+)\*\* (.*?)(?=\n- |\n\n|\n#|\Z)", re.MULTILINE | re.DOTALL)
_PATH: Final = re.compile(r"`((?:adapters|docs|graph|recordings|tests)/[\w/]+\.\w+)`")


def sources() -> Iterator[Path]:
    """The files of the repository that may contain citations. This file contains wrong ones on purpose."""
    for path in sorted(REPOSITORY.rglob("*")):
        parts = path.relative_to(REPOSITORY).parts
        if path.suffix in SUFFIXES and path != Path(__file__) and not any(part.startswith(".") for part in parts):
            yield path


def numbers_of(page: str) -> set[str]:
    """The numbers of a page's headings and rules."""
    return {*_HEADING.findall(page), *(number for number, _ in _RULE.findall(page))}


def problems_of(text: str, name: str) -> list[str]:
    """The wrong citations in the text of a file."""
    plain = _LINE_BREAK.sub(" ", text)
    found = [f"{name}: {match[0]!r} has no target" for match in _NO_TARGET.finditer(plain)]
    for match in _CITATION.finditer(plain):
        file = match["file"] or (CONTRACT if name == CONTRACT else None)
        if match["rfc"]:
            continue
        if file is None:
            found.append(f"{name}: {match[0]!r} names no document")
        elif not (REPOSITORY / file).is_file():
            found.append(f"{name}: {match[0]!r} names a file that does not exist")
        else:
            known = numbers_of((REPOSITORY / file).read_text(encoding="utf-8"))
            missing = [number for number in _NUMBER.findall(match["numbers"]) if number not in known]
            found += [f"{name}: {file} has no section {number}" for number in missing]
    return found


def test_every_citation_has_a_target() -> None:
    files = list(sources())
    assert len(files) > 400
    problems = [
        problem
        for path in files
        for problem in problems_of(path.read_text(encoding="utf-8"), str(path.relative_to(REPOSITORY)))
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("see `docs/v2_contract.md`, section 99.1", "docs/v2_contract.md has no section 99.1"),
        ("see docs/v2_contract.md, sections 1.3, 1.4 and 7.9", "docs/v2_contract.md has no section 7.9"),
        ("see `docs/v2_contract.md`, section 1.3.99", "docs/v2_contract.md has no section 1.3.99"),
        ("see `docs/v2_contract.md`,\n    # section 99", "docs/v2_contract.md has no section 99"),
        ("(contract section 1.3)", "'contract section 1' has no target"),
        ("(contract 7.1; RFC 9110)", "'contract 7' has no target"),
        ("as in decision D6", "'decision D6' has no target"),
        ("stays (seed)", "'(seed)' has no target"),
        ("as in section 1.6", "names no document"),
        ("Sections 2 and 3: one recording", "names no document"),
        ("see `docs/nothing.md`, section 1", "names a file that does not exist"),
    ],
)
def test_a_wrong_citation_is_found(text: str, problem: str) -> None:
    assert any(problem in found for found in problems_of(text, "planted.py"))


@pytest.mark.parametrize(
    "text",
    [
        "see `docs/v2_contract.md`, section 1.3",
        "see docs/v2_contract.md, sections 1.3 to 1.5 and 2",
        "see `docs/v2_contract.md`, section 1.3.1",
        "see `docs/v2_contract.md`,\n    # section 4.5",
        "[v2_contract.md](v2_contract.md) of RFC 9110, section 14.4",
        "(RFC 9111, sections 4.2.2 and 5)",
        "a section of the file",
    ],
)
def test_a_right_citation_is_accepted(text: str) -> None:
    assert problems_of(text, "planted.py") == []


def contract() -> str:
    return (REPOSITORY / CONTRACT).read_text(encoding="utf-8")


def test_the_sections_of_the_reference_keep_their_numbers() -> None:
    sections = ["1", *(f"1.{n}" for n in range(1, 9)), "2", *(f"2.{n}" for n in range(1, 5)), "3", "4"]
    sections += [*(f"4.{n}" for n in range(1, 7)), "5", "6", *(f"6.{n}" for n in range(1, 5)), "7", "7.1", "7.2", "8"]
    assert set(sections) <= set(_HEADING.findall(contract()))


def test_rules_are_numbered_without_gaps() -> None:
    section, last = "", 0
    for line in contract().splitlines():
        if heading := _HEADING.match(line):
            section, last = heading[1], 0
        elif re.match(r"- \*\*\d", line):
            last += 1
            assert line.startswith(f"- **{section}.{last}** "), line


def test_every_rule_has_a_status_and_every_difference_a_reason() -> None:
    rules = _RULE.findall(contract())
    assert len(rules) > 150
    for number, text in rules:
        assert text.startswith(tuple(f"{status}. " for status in STATUSES)), number
        assert ("Reason: " in " ".join(text.split())) is not text.startswith(STATUSES[0]), number


def test_the_rules_that_the_contract_names_exist() -> None:
    page = contract()
    assert set(re.findall(r"\brule (\d+\.\d+\.\d+)", " ".join(page.split()))) <= numbers_of(page)


def test_the_files_that_the_contract_names_exist() -> None:
    paths = set(_PATH.findall(contract()))
    assert len(paths) > 40
    assert [path for path in sorted(paths) if not (REPOSITORY / path).is_file()] == []
