"""Settings: one table, read from options and environment, and refused with words that help."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from graph.execution.request_limits import Limits
from graph.graphql_choices import ANYBODY
from graph.server.graphql_app import GraphQLSettings
from graph.settings import BY_NAME, SETTINGS, Settings, WrongSettingError, environment_names, load, unknown_names
from recordings.model.account import Scope


def test_the_table_and_the_settings_are_the_same() -> None:
    assert {setting.name for setting in SETTINGS} == {item.name for item in fields(Settings)}


def test_without_anything_the_defaults_hold() -> None:
    settings = load({})
    assert {name: getattr(settings, name) for name in BY_NAME} == {item.name: item.default for item in SETTINGS}


def test_an_option_wins_over_the_environment_and_an_empty_variable_is_none() -> None:
    environment = {"RECORDINGS_PORT": "9000", "RECORDINGS_MEDIA": "", "RECORDINGS_DATA": "/tmp/x"}  # noqa: S108 - a name
    settings = load(environment, {"port": "9001", "host": None})
    assert (settings.port, settings.media, settings.data, settings.host) == (9001, None, Path("/tmp/x"), "127.0.0.1")  # noqa: S108


@pytest.mark.parametrize("text", ["on", "1", "TRUE", "Yes", " on "])
def test_on(text: str) -> None:
    assert load({"RECORDINGS_DEMO": text}).demo is True


@pytest.mark.parametrize("text", ["off", "0", "false", "NO"])
def test_off(text: str) -> None:
    assert load({"RECORDINGS_GRAPHIQL": text}).graphiql is False


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "0"),
        ("port", "65536"),
        ("port", "8000.5"),
        ("graphiql", "perhaps"),
        ("driver", "PYMONGO"),
        ("mongodb", "localhost:27017"),
        ("mongodb", "mongodb://"),
        ("public_url", "ftp://x"),
        ("public_url", "http://[x"),
        ("public_url", "http://x?y=1"),
        ("public_url", "https://x/#y"),
        ("public_url", "http://x:99999"),
        ("public_url", "http://:80"),
        ("peer_url", "http://10.0.0.5:port"),
        ("trash_days", "-1"),
        ("log_level", "verbose"),
    ],
)
def test_what_is_out_of_bounds_is_named_with_what_is_allowed(name: str, text: str) -> None:
    with pytest.raises(WrongSettingError) as wrong:
        load({}, {name: text})
    said = str(wrong.value)
    assert BY_NAME[name].option in said
    assert BY_NAME[name].environment in said
    assert repr(text) in said
    assert BY_NAME[name].allowed in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mongodb", "mongo://ada:hunter2@db/recordings"),
        ("mongodb", "ada:hunter2@db/recordings"),
        ("public_url", "https://ada:hunter2@x.example"),
        ("peer_url", "http://ada:hunter2@10.0.0.5"),
        ("jwks_url", "ftp://ada:hunter2@i.example"),
    ],
)
def test_a_password_is_not_said_again(name: str, text: str) -> None:
    with pytest.raises(WrongSettingError) as wrong:
        load({}, {name: text})
    assert "hunter2" not in str(wrong.value)
    assert text.rpartition("@")[2] in str(wrong.value)


def test_an_issuer_needs_to_be_named_and_to_be_asked_safely() -> None:
    issuer = {"RECORDINGS_JWKS_ISSUER": "https://i.example", "RECORDINGS_JWKS_AUDIENCE": "recordings"}
    assert load({**issuer, "RECORDINGS_JWKS_URL": "https://i.example/keys"}).jwks_url
    assert load({**issuer, "RECORDINGS_JWKS_URL": "http://127.0.0.1:8080/keys"}).jwks_url
    assert load({**issuer, "RECORDINGS_JWKS_URL": "https://i.example/keys?policy=p"}).jwks_url
    with pytest.raises(
        WrongSettingError, match=r"JWKS_URL.*https://, or with http:// and the name of this very machine"
    ):
        load({**issuer, "RECORDINGS_JWKS_URL": "http://i.example/keys"})
    for missing in issuer:
        with pytest.raises(WrongSettingError, match=missing):
            load({**issuer, "RECORDINGS_JWKS_URL": "https://i.example/keys", missing: ""})


def test_peers_share_a_mongodb() -> None:
    peer = {"RECORDINGS_PEER_URL": "http://10.0.0.5:8000"}
    assert load({**peer, "RECORDINGS_MONGODB": "mongodb://x/y"}).peer_url == "http://10.0.0.5:8000"
    with pytest.raises(WrongSettingError, match="RECORDINGS_MONGODB"):
        load(peer)


def test_the_address_is_what_clients_need() -> None:
    assert load({}).address == "http://127.0.0.1:8000"
    assert load({}, {"host": "::1", "port": "9000"}).address == "http://[::1]:9000"
    assert load({}, {"host": "0.0.0.0"}).address == "http://127.0.0.1:8000"
    assert load({}, {"host": "::"}).address == "http://[::1]:8000"
    assert load({}, {"public_url": "https://x.example/base/"}).address == "https://x.example/base"


def test_every_variable_begins_alike() -> None:
    assert all(name.startswith("RECORDINGS_") for name in environment_names())
    assert len(set(environment_names())) == len(SETTINGS)


def test_a_variable_that_is_no_setting_is_told_from_those_that_are() -> None:
    environment = {"RECORDINGS_TRASHDAYS": "90", "RECORDINGS_TRASH_DAYS": "90", "PATH": "", "RECORDINGS_": ""}
    assert unknown_names(environment) == ("RECORDINGS_", "RECORDINGS_TRASHDAYS")


def test_the_limits_of_graphql_are_those_of_the_front_until_they_are_set() -> None:
    assert load({}).graphql_limits == Limits()
    assert (load({}).graphql_burst, load({}).graphql_per_second) == (
        GraphQLSettings().burst,
        GraphQLSettings().per_second,
    )


@pytest.mark.parametrize("name", [item.name for item in fields(Limits)])
def test_each_limit_of_graphql_can_be_set(name: str) -> None:
    environment = f"RECORDINGS_GRAPHQL_{name.upper()}"
    assert load({environment: "7"}).graphql_limits == replace(Limits(), **{name: 7})
    with pytest.raises(WrongSettingError, match=environment):
        load({environment: "-1"})


def test_who_may_read_the_schema() -> None:
    assert load({}).graphql_reader is Scope.READ
    assert load({"RECORDINGS_GRAPHQL_INTROSPECTION": "admin"}).graphql_reader is Scope.ADMIN
    assert load({"RECORDINGS_GRAPHQL_INTROSPECTION": ANYBODY}).graphql_reader is None


def test_only_trusted_documents_need_some() -> None:
    with pytest.raises(WrongSettingError, match="GRAPHQL_TRUSTED"):
        load({"RECORDINGS_GRAPHQL_ONLY_TRUSTED": "on"})
    settings = load({"RECORDINGS_GRAPHQL_ONLY_TRUSTED": "on", "RECORDINGS_GRAPHQL_TRUSTED": "documents.json"})
    assert (settings.graphql_only_trusted, settings.graphql_trusted) == (True, Path("documents.json"))


def test_what_graphql_settings_have_is_what_can_be_set() -> None:
    # Neither are the parts of `media_ttl` and the like, which have names of their own.
    named = {"graphiql", "public_url", "media_ttl", "limits", "introspection"}
    mine = {item.name for item in fields(GraphQLSettings)} - named
    assert mine <= {setting.name.removeprefix("graphql_") for setting in SETTINGS}
