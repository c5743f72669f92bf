"""The real API server for whatever test asks for it (marker `real`, option `--real`); everything else runs without.

Tests with the marker `ship` need programs of others beside it, and run with `--ship`.

With `--real` files that share a cluster form a group (`real_groups`), which `make test-real` gives to one of its workers.

`real_cluster` is shared by the whole run of a worker: use namespaces and names of your own, leave nothing cluster-wide behind.
`own_real_cluster` is the module's alone: for tests that install webhooks, CRDs of ours or RBAC. Both hold other people's CRDs
and cost about five seconds.

Properties run with the hypothesis profile `aioctl` below.
"""

import gc
import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

from testbed.real.build import Assets, NotAvailable
from testbed.real.build import assets as find_assets
from testbed.real.cluster import RealCluster
from testbed.real.kubectl import Kubectl, prepared
from tests.fast_order import dearest_first
from tests.real_groups import GroupScheduling, longest_first
from tests.stalling import Stalls

# The same examples on every machine, and no clock: a busy one must not fail a law.
settings.register_profile("aioctl", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("aioctl")


def _cheap_logs() -> None:
    """structlog's defaults without colours, columns and times: most tests log much, and it is seen only where they fail."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ]
    )


_cheap_logs()


@pytest.fixture(autouse=True)
def _logs_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands set the log up for their process; the tests that follow shall not be held to their levels.

    Loggers of modules are not kept as set up then: later tests capture them.
    """
    level, configure = logging.getLogger("aioctl").level, structlog.configure
    used = False

    def once(**how: Any) -> None:
        nonlocal used
        used = True
        configure(**{**how, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", once)
    yield
    if used:
        _cheap_logs()
        logging.getLogger("aioctl").setLevel(level)


_GC_THRESHOLDS = (50_000, 20, 50)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--real", action="store_true", help="run the tests that need a real kube-apiserver, too")
    parser.addoption(
        "--ship", action="store_true", help="run those that judge what ships, too; give --real as well"
    )
    parser.addoption(
        "--thorough", action="store_true", help="run what repeats much (make test-thorough), too"
    )
    parser.addoption(
        "--gateways",
        action="store_true",
        help="run the tests on real gateway controllers (make test-gateways)",
    )
    parser.addoption("--whole", action="store_true", help="run the story on a whole cluster (make e2e)")
    parser.addoption(
        "--browser", action="store_true", help="run the tests that need a headless Chromium, too"
    )
    parser.addoption(
        "--stalls", type=int, metavar="SEED", help="stand still now and then, as a busy machine does"
    )


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--stalls")
    if seed is not None:
        config.pluginmanager.register(Stalls(seed))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Of a run with real servers; None: as `--dist` says."""
    return GroupScheduling(config, log) if config.getoption("--real") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    by_cost = longest_first if config.getoption("--real") else dearest_first
    items[:] = by_cost(items, config.rootpath)
    reasons = {
        "real": "takes a real kube-apiserver or real time: run `make test-real`, or pytest with --real",
        "ship": "takes programs of others: run `make ship-check`, or pytest with --real --ship",
        "thorough": "repeats much: run `make test-thorough`, or pytest with --thorough",
        "gateways": "takes real gateway controllers: run `make test-gateways`",
        "whole": "takes a whole cluster: run `make e2e`",
        "browser": "takes a headless Chromium: run `make test-page`, or pytest with --browser",
    }
    for mark, reason in reasons.items():
        if config.getoption(f"--{mark}"):
            continue
        for item in items:
            if item.get_closest_marker(mark) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay until the end: the garbage collector need not walk them again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


@pytest.fixture
def heard_signals() -> Iterator[None]:
    """Signals do what they usually do: a shell has those of the terminal ignored by what it runs in the background."""
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def real_assets(request: pytest.FixtureRequest) -> Assets:
    """The programs and other people's CRDs; skips where they are not in the cache."""
    if not request.config.getoption("--real"):
        pytest.skip("a test without the marker `real` asks for the real kube-apiserver: give it the marker")
    try:
        found = find_assets(build=False)
    except NotAvailable as error:
        pytest.skip(str(error))
    if found.kubectl is None:
        pytest.skip("KUBEBUILDER_ASSETS holds no kubectl")
    return found


@pytest.fixture(scope="session")
def real_cluster(real_assets: Assets) -> Iterator[RealCluster]:
    """One API server for the whole run, with other people's CRDs, and none of ours."""
    with prepared(real_assets) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def real_kubectl(real_assets: Assets, real_cluster: RealCluster) -> Kubectl:
    """kubectl as administrator of `real_cluster`."""
    return Kubectl.of(real_assets, real_cluster)


@pytest.fixture(scope="module")
def own_real_cluster(real_assets: Assets) -> Iterator[RealCluster]:
    """An API server that only this module's tests see, with other people's CRDs."""
    with prepared(real_assets) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def own_kubectl(real_assets: Assets, own_real_cluster: RealCluster) -> Kubectl:
    """kubectl as administrator of `own_real_cluster`."""
    return Kubectl.of(real_assets, own_real_cluster)
