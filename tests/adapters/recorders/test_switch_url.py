"""The URL of a switch: its parts, its mistakes, and no secret in any text."""

import re

import pytest

from adapters.recorders.switch_url import NEEDED, PORTS, parse_switch_url

A, B = "a" * 32, "b" * 32


def test_the_parts_of_a_url() -> None:
    url = parse_switch_url(f"ng://me%40x:p%2Cw@[::1]:9021?name=pbx1&account={A}&account={B}&account={A}&folder=/x")
    assert (url.scheme, url.host, url.port, url.name, url.accounts) == ("ng", "::1", 9021, "pbx1", (A, B))
    assert (url.user, url.secret) == ("me@x", "p,w")


@pytest.mark.parametrize("scheme", PORTS)
def test_the_usual_port(scheme: str) -> None:
    needed = "".join(f"&{name}=/x" for name in NEEDED.get(scheme, ()))
    assert parse_switch_url(f"{scheme}://u:hunter2@pbx?name=p&account={A}{needed}").port == PORTS[scheme]


def test_a_call_belongs_to_the_stated_account_or_to_the_only_one() -> None:
    one = parse_switch_url(f"ng://pbx?name=p&account={A}&folder=/x")
    two = parse_switch_url(f"ng://pbx?name=p&account={A}&account={B}&folder=/x")
    assert [one.account_of(stated) for stated in (None, "", A, B)] == [A, A, A, None]
    assert [two.account_of(stated) for stated in (None, A, B, "c" * 32)] == [None, A, B, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"http://u:hunter2@pbx?name=p&account={A}", "the scheme must be one of "),
        (f"ng:hunter2@pbx?name=p&account={A}", "it must have a host"),
        (f"ng://u:hunter2@?name=p&account={A}", "it must have a host"),
        (f"ng://u:hunter2@pbx:99999?name=p&account={A}", "the host and the port must be host:port"),
        (f"ng://u:hunter2@[::1?name=p&account={A}", "the host and the port must be host:port"),
        (f"ng://u:hunter2@pbx/path?name=p&account={A}", "no path"),
        (f"ng://u:hunter2@pbx?account={A}", "the parameter name must be one name"),
        (f"ng://u:hunter2@pbx?name=a&name=b&account={A}", "given: a, b"),
        (f"ng://u:hunter2@pbx?name=Pbx 1&account={A}", "given: Pbx 1"),
        (f"ng://u:hunter2@pbx?name=embedded&account={A}", "but not 'embedded'"),
        ("ng://u:hunter2@pbx?name=p", "the accounts must be account=ID"),
        ("ng://u:hunter2@pbx?name=p&account=acme", "given: acme"),
        (f"ng://u:hunter2@pbx?name=p&account={A}&colour=red", "the parameter 'colour' is unknown for ng://; allowed"),
        (f"ari://u:hunter2@pbx?name=p&account={A}&tracks=3", "the parameter tracks must be one of 1, 2; given: 3"),
        (f"ng://pbx?name=p&account={A}", "the parameter folder is required for ng://"),
        (f"ng://pbx?name=p&account={A}&folder=", "the parameter folder is required for ng://"),
        (f"esl://:hunter2@pbx?name=p&account={A}", "the parameter folder is required for esl://"),
        (f"esl://:hunter2@pbx?name=p&account={A}&folder=/a&upload=ftp://x", "the parameter upload must be"),
        (f"esl://pbx?name=p&account={A}&folder=/a", "credentials of the switch, such as esl://:PASSWORD@pbx?name=p"),
        (f"ari://:hunter2@pbx?name=p&account={A}", "credentials of the switch, such as ari://USER:PASSWORD@pbx?name=p"),
        (f"esl://:hunter2@pbx?name=p&account={A}&folder=/a b", "given: /a b"),
        (f"esl://:hunter2@pbx?name=p&account={A}&folder=/a b&switch_folder=rec", "given: rec"),
        (f"esl://:hunter2@pbx?name=p&account={A}&folder=/a&switch_folder=/a,b", "given: /a,b"),
    ],
)
def test_a_mistake_is_named_and_the_secret_is_not(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        parse_switch_url(text)
    assert "hunter2" not in str(raised.value)


def test_no_representation_has_the_secret() -> None:
    url = parse_switch_url(f"ng://u:hunter2@pbx?name=p&account={A}&folder=/x")
    assert "hunter2" not in f"{url} {url!r} {url.address}"
