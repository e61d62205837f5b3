"""One stack in front of both targets for all tests that leave it as it was; tests that break things start their own."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlplane.stack.ports import free_port
from deploy.demo.identity_provider import IdentityProvider
from tests.conftest import Target
from tests.integration import world
from tests.integration.harness import Agent, Stack

PASSWORD = secrets.token_urlsafe(16)


@pytest.fixture(scope="session")
def targets(target15: Target, target18: Target) -> list[Target]:
    for target in (target15, target18):
        world.furnish(target, PASSWORD)
    return [target15, target18]


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    made = IdentityProvider(tmp_path_factory.mktemp("provider"), ["token-bot", "stranger"], people=world.PEOPLE)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, targets: list[Target], provider: IdentityProvider) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("shared")
    environment = world.secrets(PASSWORD) | provider.environment() | {"TIDEGATE_OIDC_NAME": "Example ID"}
    with Stack(directory, world.policy(targets, provider.issuer), environment, control_port=free_port()) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path: Path, targets: list[Target], provider: IdentityProvider) -> Iterator[Stack]:
    """A stack to break, not started."""
    made = Stack(tmp_path, world.policy(targets, provider.issuer), world.secrets(PASSWORD))
    yield made
    made.stop()


@pytest.fixture
def reader(stack: Stack, target: Target) -> Agent:
    """May read; through the guarded connection of each target in turn."""
    return Agent(stack, "reader", world.KEYS["reader"], f"crm{target.version}")


@pytest.fixture
def writer(stack: Stack, target: Target) -> Agent:
    return Agent(stack, "writer", world.KEYS["writer"], f"crm{target.version}")


@pytest.fixture
def free(stack: Stack, target: Target) -> Agent:
    """Under a policy that allows everything."""
    return Agent(stack, "free", world.KEYS["free"], f"bench{target.version}")


@pytest.fixture
def agent_of(stack: Stack) -> Callable[[str, str, str], Agent]:
    return lambda user, password, dbname: Agent(stack, user, password, dbname)
