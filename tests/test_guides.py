"""The guides are complete: each state, end, span, reason, code, check and issue of the code has its row."""

import re
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, build_schema

from recordings.model import errors
from recordings.model.recording import EndCause, Reason, SpanKind, State
from recordings.model.webhook import DisabledReason
from recordings.rules.lifecycle import TABLE
from recordings.use_cases.doctor_findings import Issue

REPOSITORY = Path(__file__).parents[1]
RAISED = re.compile(
    r'(?:(?:HttpError|error_response|error_body|_refused)\((?:[0-9]+, |"[\w ]+", )?|"code": )"([A-Z][A-Z_]{3,})"'
)
"""The code of an error that a layer above the domain answers with."""


def codes_of_errors() -> set[str]:
    """Return the codes of all errors of the API."""
    files = [path for layer in ("graph", "adapters") for path in (REPOSITORY / layer).rglob("*.py")]
    found = {name for path in files for name in RAISED.findall(path.read_text(encoding="utf-8"))}
    classes = [each for each in vars(errors).values() if isinstance(each, type) and each is not errors.Refused]
    return found | {each.__dict__["code"] for each in classes if isinstance(each.__dict__.get("code"), str)}


def checks() -> set[str]:
    """Return the names of the parts and warnings of `/readyz`."""
    source = (REPOSITORY / "graph" / "app.py").read_text(encoding="utf-8")
    body = source.split("    checks = {")[1].split("    return [")[0]
    return set(re.findall(r'^ +"(\w+)": ', body, re.MULTILINE)) | set(re.findall(r'reports\["(\w+)"\]', body))


def cells(page: str) -> set[str]:
    """Return the texts in backquotes of the first cells of all tables."""
    lines = (REPOSITORY / "docs" / page).read_text(encoding="utf-8").splitlines()
    return {name for line in lines if line.startswith("| ") for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("concepts.md", {*State, *EndCause, *SpanKind}),
        ("troubleshooting.md", {*Reason, *Issue, *DisabledReason}),
        ("troubleshooting.md", codes_of_errors()),
        ("troubleshooting.md", checks()),
    ],
    ids=["concepts", "reasons and issues", "codes", "checks"],
)
def test_a_page_has_a_row_for_each_name(page: str, names: set[str]) -> None:
    assert len(names) >= 11
    assert {str(name) for name in names} - cells(page) == set()


def test_the_table_of_states_has_the_transitions_of_the_code() -> None:
    found: dict[str, set[str]] = {state.value: set() for state in State}
    for (state, _event), result in TABLE.items():
        if isinstance(result, State) and result is not state:
            found[state.value].add(result.value)
    page = (REPOSITORY / "docs" / "concepts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z]+)` \| [^|]+ \| ([^|]+) \|$", page.split("## Ends")[0], re.MULTILINE)
    assert {state: set(re.findall(r"`([A-Z]+)`", after)) for state, after in rows} == found


def test_the_schema_has_the_same_reasons() -> None:
    schema = build_schema((REPOSITORY / "schema.graphql").read_text(encoding="utf-8"))
    reasons = schema.type_map["RecordingReason"]
    assert isinstance(reasons, GraphQLEnumType)
    assert set(reasons.values) == set(Reason)


@pytest.mark.parametrize("page", ["console.md", "tutorial.md", "index.md"])
def test_the_console_has_the_texts_that_a_page_quotes(page: str) -> None:
    shown = (REPOSITORY / "scripts" / "console" / "src" / "texts.js").read_text(encoding="utf-8")
    texts = {text.strip(" …") for text in re.findall(r'"([^"]+)",?$', shown, re.MULTILINE)}
    guide = re.sub(r"```.*?```|\n *", " ", (REPOSITORY / "docs" / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    quoted = {part for text in re.findall(r'"([A-Z][^"]*)"', guide) for part in text.strip(".").split(": ")}
    assert quoted - texts == set()
