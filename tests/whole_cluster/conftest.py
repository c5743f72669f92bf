"""One cluster for the whole story; each test is a part of it and begins where the one before has ended."""

from collections.abc import Generator, Iterator

import pytest

from testbed.real import build, controllers
from testbed.real.build import Assets, NotAvailable
from testbed.real.private_network import is_private
from tests.whole_cluster.stage import Stage, opened
from tests.whole_cluster.watcher import Watcher

_BROKEN = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Everything but aioctl. Where it cannot be had the story fails: whoever asks for it wants it."""
    assert is_private(), (
        "pods' addresses are not this machine's: `make e2e` runs this in a network of its own"
    )
    try:
        assets: Assets = build.assets(build=False)
        with opened(assets) as made:
            yield made
    except NotAvailable as error:
        raise AssertionError(str(error)) from error


@pytest.fixture(scope="session")
def watcher(stage: Stage) -> Iterator[Watcher]:
    """Reads from the moment that it is first asked for until the story stops it."""
    with Watcher(stage.cluster).running() as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure comes with what the controller said, and ends the story."""
    report = yield
    found = getattr(item, "funcargs", {}).get("stage")
    if report.failed and call.when == "call" and isinstance(found, Stage):
        item.session.stash[_BROKEN] = item.name
        report.sections.append(("end of the controller's logs", found.node.tail()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Programs of others that crashed and were started again: the story goes on, but not in silence."""
    for said in controllers.ended:
        terminalreporter.write_line(said)


def pytest_runtest_setup(item: pytest.Item) -> None:
    broken = item.session.stash.get(_BROKEN, "")
    if broken:
        pytest.skip(f"the story broke off at {broken}")
