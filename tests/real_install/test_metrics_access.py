"""AIOCTL_METRICS_AUTH on a real API server: who holds a token with the permission reads the page, nobody else does.

Rules: ACCESS-1.
"""

import contextlib
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.deploy.manifests import BASE, NAMESPACE, find
from tests.real_install.installation import SERVER_NAME, Installation
from tests.real_install.replica import Replica

pytestmark = pytest.mark.real
READER, STRANGER = "prometheus", "stranger"


@pytest.fixture(scope="module")
def guarded(installation: Installation) -> Iterator[Replica]:
    """A replica that asks who reads its metrics; Prometheus's account is bound as docs/operations.md says."""
    role = find(BASE / "metrics-reader.yaml", "ClusterRole")["metadata"]["name"]
    for account in (READER, STRANGER):
        installation.kubectl("create", "serviceaccount", account, "-n", NAMESPACE)
    installation.kubectl(
        "create", "clusterrolebinding", "metrics-reader", f"--clusterrole={role}", f"--serviceaccount={NAMESPACE}:{READER}"
    )  # fmt: skip
    replica = installation.start(AIOCTL_METRICS_AUTH="true")
    try:
        replica.wait_ready()
        yield replica
    finally:
        installation.replicas.remove(replica)
        assert replica.terminate() == 0, replica.tail()


def read(installation: Installation, replica: Replica, token: str, path: str = "/metrics") -> tuple[int, str]:
    """Over TLS, checked against the CA bundle of the Secret and the name that the ServiceMonitor expects."""
    context = ssl.create_default_context(cadata=installation.certificates().bundle.decode())
    context.check_hostname = False  # the address is another one here; the name is checked below
    replica.served_certificate(installation.certificates().bundle, SERVER_NAME)
    request = urllib.request.Request(f"https://127.0.0.1:{replica.ports.metrics}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with contextlib.closing(_opened(request, context)) as answer:
        return answer.status or 0, answer.read().decode()


def _opened(
    request: urllib.request.Request, context: ssl.SSLContext
) -> "urllib.error.HTTPError | urllib.response.addinfourl":
    try:
        answer: urllib.response.addinfourl = urllib.request.urlopen(  # noqa: S310  ours
            request, timeout=30, context=context
        )
    except urllib.error.HTTPError as error:
        return error
    return answer


def test_the_holder_of_the_permission_reads(installation: Installation, guarded: Replica) -> None:
    token = installation.kubectl.token(NAMESPACE, READER)
    status, page = read(installation, guarded, token)
    assert status == 200
    assert "aioctl_build_info" in page
    # The role names one path.
    assert read(installation, guarded, token, "/elsewhere")[0] == 403


def test_others_do_not(installation: Installation, guarded: Replica) -> None:
    token = installation.kubectl.token(NAMESPACE, STRANGER)
    user = f"system:serviceaccount:{NAMESPACE}:{STRANGER}"
    assert read(installation, guarded, token) == (403, f"Authorization denied for user {user}\n")
    assert read(installation, guarded, "") == (401, "Unauthorized\n")
    assert read(installation, guarded, "made-up") == (401, "Unauthorized\n")


def test_the_port_speaks_nothing_but_tls(guarded: Replica) -> None:
    with pytest.raises((OSError, urllib.error.URLError)):
        urllib.request.urlopen(f"http://127.0.0.1:{guarded.ports.metrics}/metrics", timeout=10)
