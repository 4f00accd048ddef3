"""docker-compose.yml: all names in it exist, and all settings are known."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from graph.settings import environment_names

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_depends_only_on_services_with_a_health_check(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_networks_and_volumes_are_declared(name: str) -> None:
    assert set(SERVICES[name].get("networks", [])) <= set(COMPOSE.get("networks", {}))
    mounts = [str(volume).split(":")[0] for volume in SERVICES[name].get("volumes", [])]
    assert set(mounts) <= set(COMPOSE.get("volumes", {}))


def test_nothing_declared_is_unused() -> None:
    mounts = {str(volume).split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    networks = {network for service in SERVICES.values() for network in service.get("networks", [])}
    assert mounts == set(COMPOSE.get("volumes", {}))
    assert networks == set(COMPOSE.get("networks", {}))


@pytest.mark.parametrize("name", SERVICES)
def test_every_host_in_a_url_is_a_service(name: str) -> None:
    addresses = [str(value) for value in SERVICES[name].get("environment", {}).values()]
    hosts = {host for address in addresses for host in re.findall(r"(?:mongodb|https?)://([a-z0-9-]+)", address)}
    assert hosts <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_required_environment_variables(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if SECRET.search(variable):
            assert re.fullmatch(r"\$\{[A-Z0-9_]+:\?[^}]+\}", str(value)), variable


def test_only_this_service_publishes_a_port() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["recordings"]


def test_images_are_built_here_or_have_a_fixed_version() -> None:
    for name, service in SERVICES.items():
        assert "build" in service or re.search(r":[0-9]", service["image"]), name
    assert (ROOT / "Dockerfile").is_file()


def test_every_setting_in_it_exists() -> None:
    named = set(re.findall(r"\bRECORDINGS_[A-Z0-9_]+", TEXT + (ROOT / "Dockerfile").read_text()))
    assert named
    assert named <= set(environment_names())
