"""Certificates on a real API server: shared, injected, exchanged under load, and from files (CRD-2).

The API server calls the replicas by the Service's name, as in a cluster (see `installation`), and checks the name.
"""

import base64
import itertools
import ssl
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.pki.pairs import Pair, issue_leaf, read_certificate
from aioctl.upkeep.webhook_certificates import TARGETS
from aioctl.upkeep.webhook_rotation import RotationState, RotationStep, advance, to_secret_data
from tests.deploy.manifests import NAMESPACE
from tests.real_install.installation import CERTIFICATE, SERVER_NAME, TEAM, Installation, policy
from tests.real_install.lateness import measured, page
from tests.real_install.load import Load
from tests.real_install.replica import Replica, until

pytestmark = pytest.mark.real
LOADED = "loaded"
UNUSABLE = "certificate not usable, the old one stays"
LOOKS = 3
"""Looks of each replica at the Secret in which it shall write nothing."""
RELOAD = 1.0
"""Seconds within which a changed file is served."""
STEPS = 5
"""Turns of the process on the way from the change to the log line, each as slow as the machine."""
ATTEMPTS = 5
"""Changes of the files at most, until one is served within that time."""
QUIET = 3.0
"""Seconds between out of the Service and the end: the API server's view of the endpoints has followed by then, a busy one's too."""


@pytest.fixture(scope="module")
def replicas(installation: Installation) -> list[Replica]:
    return installation.run(2)


@pytest.fixture(scope="module")
def loaded(installation: Installation, replicas: list[Replica]) -> Iterator[Load]:
    """Readers of a service in the version that is not stored; not running yet."""
    body = {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": LOADED},
        "spec": {"model": {"uri": "hf://facebook/opt-125m"}},
    }
    assert replicas
    installation.create(kinds.SERVICE, TEAM, body)
    yield Load(installation.cluster, kinds.SERVICE_V1ALPHA1.path(TEAM, LOADED))
    installation.admin("DELETE", kinds.SERVICE.path(TEAM, LOADED))


def bundles(installation: Installation) -> set[bytes]:
    """Every CA bundle with which the API server calls us."""
    found = set()
    for target in TARGETS:
        obj: Any = installation.get(target.kind, "", target.name)
        if target.kind == kinds.CRD:
            clients = [obj["spec"]["conversion"]["webhook"]["clientConfig"]]
        else:
            clients = [webhook["clientConfig"] for webhook in obj["webhooks"]]
        found |= {base64.b64decode(client.get("caBundle", "")) for client in clients}
    return found


def is_settled(state: RotationState, found: set[bytes]) -> bool:
    return state.next is None and not state.previous_ca and found == {state.bundle}


def until_settled(installation: Installation) -> RotationState:
    """What the Secret holds once its bundle is everywhere and no rotation runs."""
    until(
        lambda: is_settled(installation.certificates(), bundles(installation)),
        "the bundle is everywhere",
        pause=0.5,
    )
    return installation.certificates()


def served_by(replicas: list[Replica], state: RotationState) -> set[bytes]:
    return {replica.served_certificate(state.bundle, SERVER_NAME) for replica in replicas}


def certificates_for(
    installation: Installation, replicas: list[Replica], found: set[bytes]
) -> Iterator[bytes]:
    """What the replicas serve to whoever holds these bundles. Raises ssl.SSLCertVerificationError for one that is still in use."""
    for bundle, replica in itertools.product(found, replicas):
        try:
            yield replica.served_certificate(bundle, SERVER_NAME)
        except ssl.SSLCertVerificationError:
            # This process may have been held up for so long that the bundle has gone since it was read.
            if bundle in bundles(installation):
                raise


def der(leaf: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.crt.decode())


def test_replicas_that_start_together_make_one_secret_and_serve_one_certificate(
    installation: Installation, replicas: list[Replica]
) -> None:
    state = until_settled(installation)
    leaf = read_certificate(state.current.leaf.crt)
    assert not isinstance(leaf, str)
    assert SERVER_NAME in leaf.dns_names
    until(lambda: served_by(replicas, state) == {der(state.current.leaf)}, "both serve it")
    made = [event["responseStatus"]["code"] for event in installation.audit("create", "secrets", CERTIFICATE)]
    assert made.count(201) == 1
    assert set(made) <= {201, 409}


def test_bundles_are_written_only_where_they_differ(
    installation: Installation, replicas: list[Replica]
) -> None:
    state = until_settled(installation)

    def writes() -> Counter[str]:
        return Counter(
            event["objectRef"]["name"]
            for verb, plural in (
                ("patch", "customresourcedefinitions"),
                ("patch", "validatingwebhookconfigurations"),
                ("update", "secrets"),
            )
            for event in installation.audit(verb, plural)
            if event["responseStatus"]["code"] == 200
        )

    def looks() -> int:
        return sum(1 for _ in installation.audit("get", "secrets", CERTIFICATE))

    before, enough = writes(), looks() + LOOKS * 2 * len(replicas)
    until(lambda: looks() >= enough, "the replicas have looked at the Secret")
    assert writes() == before
    target = TARGETS[2]
    patch = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
    assert installation.patch(target.kind, "", target.name, patch).status == 200
    until(lambda: bundles(installation) == {state.bundle}, "the bundle is back", pause=0.2)
    assert set(writes() - before) == {target.name}


def test_a_rotation_under_load_loses_no_conversion(
    installation: Installation, replicas: list[Replica], loaded: Load
) -> None:
    """Its first step is written here, as a replica would once the time has come; all others are the replicas'."""
    before = until_settled(installation)
    seen = served_by(replicas, before)
    with loaded.running() as load:
        until(lambda: load.answered > 100, "conversions run")
        data = to_secret_data(advance(before, RotationStep.BEGIN, datetime.now(UTC), policy()))
        assert installation.patch(kinds.SECRET, NAMESPACE, CERTIFICATE, {"data": data}).status == 200

        def is_over() -> bool:
            # Whatever bundle an API server holds, whatever leaf a replica serves: they fit.
            found = bundles(installation)
            seen.update(certificates_for(installation, replicas, found))
            assert load.failed == []
            state = installation.certificates()
            return is_settled(state, found) and state.current.ca != before.current.ca

        until(is_over, "the rotation is over", pause=0.5)
        answered = load.answered
        until(lambda: load.answered > answered + 100, "conversions still run")
    assert load.failed == []
    assert seen == {der(before.current.leaf), der(installation.certificates().current.leaf)}


def mount(folder: Path, leaf: Pair) -> None:
    """As the kubelet does: both files change at once, by a symlink."""
    made = folder / str(len(list(folder.iterdir())))
    made.mkdir()
    (made / "tls.crt").write_bytes(leaf.crt)
    (made / "tls.key").write_bytes(leaf.key)
    link = folder / "next"
    link.symlink_to(made)
    link.replace(folder / "data")


def test_files_are_reloaded_under_load_and_a_bad_pair_changes_nothing(
    installation: Installation, replicas: list[Replica], loaded: Load, tmp_path: Path
) -> None:
    """As cert-manager or OpenShift mount them: leaves of a CA that the API server trusts already.

    A rollout on the way: the replicas that keep certificates themselves go, and no call is lost by that either.
    """
    state = until_settled(installation)
    first, *others = (
        issue_leaf(state.current.ca, [SERVER_NAME], now=datetime.now(UTC), lifetime=timedelta(days=1))
        for _ in range(1 + ATTEMPTS)
    )
    mount(tmp_path, first)
    replica = installation.start(AIOCTL_CERT_MODE="files", AIOCTL_CERT_DIR=str(tmp_path / "data"))
    installation.connect(replica)

    def calls() -> float:
        return sum(each.value for each in replica.metrics("aioctl_webhook_calls_total", path="/convert"))

    def errors() -> float:
        return sum(each.value for each in replica.metrics("certwatcher_read_certificate_errors_total"))

    def until_called() -> None:
        enough = calls() + 10
        until(lambda: calls() >= enough, "the API server calls it")

    def until_served(leaf: Pair) -> None:
        until(lambda: served_by([replica], state) == {der(leaf)}, "the new leaf is served")

    with loaded.running() as load:
        for other in replicas:
            installation.stop(other, pause=QUIET)
        until_called()
        assert served_by([replica], state) == {der(first)}
        found: list[tuple[float, float]] = []
        for second in others:
            with measured(page(replica.health_page)) as late:
                changed = datetime.now(UTC)
                mount(tmp_path, second)
                until_served(second)
            seconds = (replica.moment("certificate loaded") - changed).total_seconds()
            found.append((seconds, late.allowed(RELOAD, steps=STEPS)))
            if seconds <= found[-1][1]:
                break
        assert any(seconds <= allowed for seconds, allowed in found), found
        # A look may fall between the two files of a change, and find that they do not fit.
        counted, told = errors(), len(replica.said(UNUSABLE))
        mount(tmp_path, Pair(second.crt, first.key))
        until(lambda: errors() > counted, "the pair that does not fit is counted")
        until_called()
        assert served_by([replica], state) == {der(second)}
    assert load.failed == []
    assert len(replica.said(UNUSABLE)) == told + 1
    # Whoever comes next keeps the Secret's certificate.
    installation.connect(installation.start())
    installation.stop(replica)
