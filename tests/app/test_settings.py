"""The settings: one table, read from options and environment variables, with helpful messages for invalid values."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from graph.execution.request_limits import Limits
from graph.graphql_app import GraphQLSettings
from graph.settings import BY_NAME, SETTINGS, InvalidSettingError, Settings, environment_names, load, unknown_names
from graph.settings.table import ANYBODY
from recordings.model.account import Scope


def test_table_and_settings_have_the_same_names() -> None:
    # The place among the workers is not a setting.
    assert [*(setting.name for setting in SETTINGS), "worker"] == [item.name for item in fields(Settings)]


def test_without_options_and_variables_the_defaults_apply() -> None:
    settings = load({})
    assert {name: getattr(settings, name) for name in BY_NAME} == {item.name: item.default for item in SETTINGS}


def test_option_takes_precedence_over_variable_and_empty_variable_is_ignored() -> None:
    environment = {"RECORDINGS_PORT": "9000", "RECORDINGS_MEDIA": "", "RECORDINGS_DATA": "/tmp/x"}  # noqa: S108 - a name
    settings = load(environment, {"port": "9001", "host": None})
    assert (settings.port, settings.media, settings.data, settings.host) == (9001, None, Path("/tmp/x"), "127.0.0.1")  # noqa: S108


@pytest.mark.parametrize("text", ["on", "1", "TRUE", "Yes", " on "])
def test_texts_for_on(text: str) -> None:
    assert load({"RECORDINGS_DEMO": text}).demo is True


@pytest.mark.parametrize("text", ["off", "0", "false", "NO"])
def test_texts_for_off(text: str) -> None:
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
        ("audiosocket", "9092"),
        ("audiosocket", "127.0.0.1:0"),
        ("audiosocket", "::1:9092"),
        ("trash_days", "-1"),
        ("log_level", "verbose"),
    ],
)
def test_message_names_the_setting_the_invalid_value_and_the_allowed_values(name: str, text: str) -> None:
    with pytest.raises(InvalidSettingError) as error:
        load({}, {name: text})
    message = str(error.value)
    assert BY_NAME[name].option in message
    assert BY_NAME[name].environment in message
    assert repr(text) in message
    assert BY_NAME[name].allowed in message


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
def test_message_does_not_contain_a_password(name: str, text: str) -> None:
    with pytest.raises(InvalidSettingError) as error:
        load({}, {name: text})
    assert "hunter2" not in str(error.value)
    assert text.rpartition("@")[2] in str(error.value)


def test_jwks_url_requires_https_issuer_and_audience() -> None:
    issuer = {"RECORDINGS_JWKS_ISSUER": "https://i.example", "RECORDINGS_JWKS_AUDIENCE": "recordings"}
    assert load({**issuer, "RECORDINGS_JWKS_URL": "https://i.example/keys"}).jwks_url
    assert load({**issuer, "RECORDINGS_JWKS_URL": "http://127.0.0.1:8080/keys"}).jwks_url
    assert load({**issuer, "RECORDINGS_JWKS_URL": "https://i.example/keys?policy=p"}).jwks_url
    with pytest.raises(InvalidSettingError, match=r"JWKS_URL.*https://, or with http:// and this machine's own name"):
        load({**issuer, "RECORDINGS_JWKS_URL": "http://i.example/keys"})
    for missing in issuer:
        with pytest.raises(InvalidSettingError, match=f"{missing}.* is required when --jwks-url is set"):
            load({**issuer, "RECORDINGS_JWKS_URL": "https://i.example/keys", missing: ""})


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "https://app.example.org",
        "https://app.example.org:8443, http://localhost:3000,http://[::1]:5173",
        "http://127.0.0.1,https://a_b.example",
        "capacitor://localhost,chrome-extension://abcdefgh",
        "http://app.example.org:443",
        "https://xn--bcher-kva.example",
    ],
)
def test_cors_origins_are_origins_as_browsers_send_them(origins: str) -> None:
    assert load({}, {"cors_origins": origins}).cors_origins == tuple(each.strip() for each in origins.split(","))


@pytest.mark.parametrize(
    "origin",
    [
        "app.example.org",
        "https://app.example.org/",
        "https://app.example.org/page",
        "https://*.example.org",
        "https://App.example.org",
        "HTTPS://app.example.org",
        "https://app.example.org:443",
        "http://app.example.org:80",
        "http://app.example.org:0",
        "http://app.example.org:65536",
        "http://app.example.org:",
        "https://bücher.example",
        "https://ada@app.example.org",
        "https://app.example.org?x",
        "https://",
        "http://[::1",
        "null",
        "none",
        "*",
    ],
)
def test_a_text_that_no_browser_sends_as_an_origin_is_rejected(origin: str) -> None:
    with pytest.raises(InvalidSettingError) as error:
        load({"RECORDINGS_CORS_ORIGINS": f"https://ok.example,{origin}"})
    message = str(error.value)
    assert message.startswith("RECORDINGS_CORS_ORIGINS (or --cors-origins) must be * alone, or a list of origins")
    assert repr(origin.rpartition("@")[2])[1:] in message


def test_peer_url_requires_mongodb() -> None:
    peer = {"RECORDINGS_PEER_URL": "http://10.0.0.5:8000"}
    assert load({**peer, "RECORDINGS_MONGODB": "mongodb://x/y"}).peer_url == "http://10.0.0.5:8000"
    with pytest.raises(InvalidSettingError, match="RECORDINGS_MONGODB"):
        load(peer)


def test_address_is_a_url_for_clients() -> None:
    assert load({}).address == "http://127.0.0.1:8000"
    assert load({}, {"host": "::1", "port": "9000"}).address == "http://[::1]:9000"
    assert load({}, {"host": "0.0.0.0"}).address == "http://127.0.0.1:8000"
    assert load({}, {"host": "::"}).address == "http://[::1]:8000"
    assert load({}, {"public_url": "https://x.example/base/"}).address == "https://x.example/base"


def test_all_variables_have_the_same_prefix() -> None:
    assert all(name.startswith("RECORDINGS_") for name in environment_names())
    assert len(set(environment_names())) == len(SETTINGS)


def test_unknown_variables_with_the_prefix_are_found() -> None:
    environment = {"RECORDINGS_TRASHDAYS": "90", "RECORDINGS_TRASH_DAYS": "90", "PATH": "", "RECORDINGS_": ""}
    assert unknown_names(environment) == ("RECORDINGS_", "RECORDINGS_TRASHDAYS")


def test_graphql_limits_default_to_the_limits_of_the_endpoint() -> None:
    assert load({}).graphql_limits == Limits()
    assert (load({}).graphql_burst, load({}).graphql_per_second) == (
        GraphQLSettings().burst,
        GraphQLSettings().per_second,
    )


@pytest.mark.parametrize("name", [item.name for item in fields(Limits)])
def test_each_graphql_limit_is_a_setting(name: str) -> None:
    environment = f"RECORDINGS_GRAPHQL_{name.upper()}"
    assert load({environment: "7"}).graphql_limits == replace(Limits(), **{name: 7})
    with pytest.raises(InvalidSettingError, match=environment):
        load({environment: "-1"})


def test_introspection_scope() -> None:
    assert load({}).introspection_scope is Scope.READ
    assert load({"RECORDINGS_GRAPHQL_INTROSPECTION": "admin"}).introspection_scope is Scope.ADMIN
    assert load({"RECORDINGS_GRAPHQL_INTROSPECTION": ANYBODY}).introspection_scope is None


@pytest.mark.parametrize(
    ("options", "is_on"),
    [
        ({}, False),
        ({"demo": "on"}, True),
        ({"demo": "on", "graphql_suggestions": "off"}, False),
        ({"graphql_suggestions": "on"}, True),
    ],
)
def test_the_demo_turns_suggestions_on_by_default(options: dict[str, str], is_on: bool) -> None:
    assert load({}, options).graphql_suggestions is is_on


def test_only_trusted_requires_trusted_documents() -> None:
    with pytest.raises(InvalidSettingError, match="GRAPHQL_TRUSTED"):
        load({"RECORDINGS_GRAPHQL_ONLY_TRUSTED": "on"})
    settings = load({"RECORDINGS_GRAPHQL_ONLY_TRUSTED": "on", "RECORDINGS_GRAPHQL_TRUSTED": "documents.json"})
    assert (settings.graphql_only_trusted, settings.graphql_trusted) == (True, Path("documents.json"))


def test_each_field_of_graphql_settings_is_a_setting() -> None:
    # These have other names in the table of settings.
    renamed = {"graphiql", "public_url", "media_ttl", "limits", "introspection"}
    names = {item.name for item in fields(GraphQLSettings)} - renamed
    assert names <= {setting.name.removeprefix("graphql_") for setting in SETTINGS}


def test_a_list_of_switches() -> None:
    first, second = (f"ng://:hunter2@10.0.0.{n}?name=media{n}&account={'a' * 32}&folder=/x" for n in (1, 2))
    settings = load({"RECORDINGS_SWITCH": f"{first}, {second}"})
    assert [switch.name for switch in settings.switch] == ["media1", "media2"]
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("text", ["ng://:hunter2@x", "hunter2", "esl:hunter2", "://hunter2@"])
def test_a_wrong_switch_is_named_without_its_secret(text: str) -> None:
    with pytest.raises(
        InvalidSettingError, match=r"RECORDINGS_SWITCH \(or --switch\) must be the URL of a switch"
    ) as raised:
        load({}, {"switch": text})
    assert "hunter2" not in str(raised.value)


def test_two_switches_of_the_same_name_are_rejected() -> None:
    url = f"ng://10.0.0.1?name=media&account={'a' * 32}&folder=/x"
    with pytest.raises(InvalidSettingError, match="two are called media"):
        load({}, {"switch": f"{url},{url}"})
