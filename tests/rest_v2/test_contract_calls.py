"""More rules of start and stop (`docs/v2_contract.md`, section 6)."""

import pytest

from recordings.model.recording import State
from tests.rest_v2.test_channels import ask, flow
from tests.rest_v2.v2_installation import V2Client, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")


# Parameters: the documented defaults


async def test_the_defaults_of_a_start(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "defaults")
    assert (await ask(v2, "defaults", flow())).status_code == 201
    active = await v2.installation.store.find_active(v2.account.id, "defaults")
    assert active is not None
    options = active.options
    assert (options.time_limit, options.should_follow_transfer, options.method) == (3_600, True, "put")
    assert (options.record_on_answer, options.record_on_bridge) == (False, False)
    assert (options.url, options.media_name, options.label) == (None, None, None)
    assert (active.format, active.state) == ("mp3", State.RECORDING)


# Channels


async def test_a_channel_of_another_account(v2: V2Client) -> None:
    other = await new_account(v2.installation)
    v2.installation.recorder.ring(other.id, "theirs")
    for action in ("start", "stop", "mask", "unmask"):
        response = await ask(v2, "theirs", flow(action))
        assert (response.status_code, response.json()["message"]) == (404, "bad identifier")
        assert response.json()["data"] == ["theirs"]
    assert await v2.installation.store.find_active(other.id, "theirs") is None


async def test_other_channel_operations_do_not_exist(v2: V2Client) -> None:
    assert (await v2.get(f"{v2.path}/channels")).status_code == 404
    assert (await v2.get(f"{v2.path}/channels/x")).status_code == 405


# Special cases


@pytest.mark.parametrize("name", ["record_on_answer", "record_on_bridge"])
async def test_a_call_that_is_never_answered_or_bridged_is_not_recorded(v2: V2Client, name: str) -> None:
    v2.installation.recorder.ring(v2.account.id, name)
    assert (await ask(v2, name, flow("start", **{name: True}))).status_code == 201
    assert (await ask(v2, name, flow("stop"))).status_code == 201
    assert await v2.installation.store.find_active(v2.account.id, name) is None
    assert await v2.ids() == []
