"""Two replicas and never two writers, also when the leader is stopped as a whole for longer than its lease and then goes on
(LEASE-2). The audit log is the witness: each replica has a token of its own, and the API server notes whose a write was.

The stop comes at a write that a relay holds back. With one worker nothing else is on its way then, so what the leader sends
when it goes on, it has decided to send after the stop. Its watchdog is off, which might end it before it sends anything.
"""

import base64
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from aioctl.api import kinds
from aioctl.api.names import MIGRATED, route_name
from aioctl.api.objects import annotations_of, dig
from testbed.crashes import Crash, Mode
from testbed.real.kubectl import kubeconfig
from testbed.real.relay import Relay
from tests.deploy.manifests import ACCOUNT, DEPLOY, NAMESPACE
from tests.real_install import services
from tests.real_install.installation import Installation, players
from tests.real_install.replica import PATIENCE, Replica, until

pytestmark = pytest.mark.real
TEAM = "two-writers"
SERVICES = 4
STOP_AT = 7
"""The write, counted from the creation of the services: in the midst of what is to be done for them."""
CREDENTIAL = "authentication.kubernetes.io/credential-id"


@dataclass
class Story:
    """What was to be seen. Writes are those to services and their children, as (received, what)."""

    before: list[tuple[datetime, str]] = field(default_factory=list)
    """The stopped leader's, in order."""
    after: list[tuple[datetime, str]] = field(default_factory=list)
    """The other replica's."""
    late: list[str] = field(default_factory=list)
    """What the stopped one sent when it went on."""
    said: str = ""
    """The end of its log."""
    code: int | None = None


@pytest.fixture(scope="module")
def story(installation: Installation) -> Iterator[Story]:
    """Played once."""
    installation.run(0)
    folder = installation.cluster.folder
    tokens = [installation.kubectl.token(NAMESPACE, ACCOUNT) for _ in range(2)]
    opened = Relay(installation.cluster.server, installation.cluster.ca_file)
    with opened.running() as relay, players(installation.cluster, folder):
        through = relay.kubeconfig(folder / "relayed.kubeconfig", tokens[0])
        leader = installation.start(KUBECONFIG=str(through), AIOCTL_WORKERS="1", AIOCTL_STALL_LIMIT="0")
        until(lambda: leader.process.poll() is None and _leads(leader), "the first leads")
        direct = folder / "direct.kubeconfig"
        direct.write_text(json.dumps(kubeconfig(installation.cluster, tokens[1])))
        other = installation.start(KUBECONFIG=str(direct))
        # The leader never gets calls of webhooks: none shall wait for a process that stands still.
        installation.connect(other)
        _furnish(installation)
        _create(installation, "first")
        until(lambda: not _unready(installation), "the first service is ready")

        relay.arm(Crash(STOP_AT, Mode.BEFORE), lambda: leader.process.send_signal(signal.SIGSTOP))
        for number in range(SERVICES):
            _create(installation, f"s{number}")
        assert relay.happened.wait(timeout=180), "the leader came to the write at which it is stopped"
        leader.stopped = True
        until(lambda: _leads(other), "the other leads")
        until(lambda: not _unready(installation), f"all are ready: {_unready(installation)}")
        sent = len(relay.writes)
        leader.process.send_signal(signal.SIGCONT)
        code = leader.process.wait(timeout=PATIENCE)
        made = Story(late=relay.writes[sent:], said=leader.tail(), code=code)
        made.before, made.after = (_writes(installation, token) for token in tokens)
        yield made
        installation.replicas.remove(leader)
        for name in _services(installation):
            installation.admin("DELETE", kinds.SERVICE.path(TEAM, name))
        until(lambda: not _services(installation), "they are gone")


def _leads(replica: Replica) -> bool:
    try:
        return replica.leads
    except OSError:
        return False  # it does not listen yet


def _furnish(installation: Installation) -> None:
    installation.kubectl.apply(kustomize=DEPLOY / "presets")
    for kind, namespace, body in services.gateway_objects():
        answer = installation.admin("POST", kind.path(namespace), body)
        assert answer.status in (201, 409), answer.body  # other tests of this cluster have made them
    installation.kubectl("create", "namespace", TEAM)


def _create(installation: Installation, name: str) -> None:
    service = services.service(name, services.SHAPES["single"])
    service["metadata"]["namespace"] = TEAM
    installation.create(kinds.SERVICE, TEAM, service)


def _services(installation: Installation) -> list[str]:
    found = installation.admin("GET", kinds.SERVICE.path(TEAM)).body["items"]
    return [service["metadata"]["name"] for service in found]


def _unready(installation: Installation) -> list[str]:
    """Names of services that are not Ready, or not on v1."""
    left = []
    for service in installation.admin("GET", kinds.SERVICE.path(TEAM)).body["items"]:
        name = service["metadata"]["name"]
        conditions = {c["type"]: c["status"] for c in dig(service, "status", "conditions") or ()}
        route = installation.admin("GET", kinds.HTTP_ROUTE.path(TEAM, route_name(name))).body
        if conditions.get("Ready") != "True" or annotations_of(route).get(MIGRATED) != "v1":
            left.append(name)
    return left


def _writes(installation: Installation, token: str) -> list[tuple[datetime, str]]:
    """By the holder of the token, to services and what belongs to them."""
    claims = token.split(".")[1]
    jti = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"]
    found = []
    for event in installation.audit():
        ref = event.get("objectRef", {})
        ours = ref.get("namespace") == TEAM and ref.get("resource") != "events"
        changes = (
            event["verb"] in ("create", "update", "patch", "delete") and "dryRun" not in event["requestURI"]
        )
        if ours and changes and event["user"].get("extra", {}).get(CREDENTIAL) == [f"JTI={jti}"]:
            at = datetime.fromisoformat(event["requestReceivedTimestamp"])
            found.append((at, f"{event['verb']} {ref['resource']}/{ref.get('name', '')}"))
    return sorted(found)


def test_both_wrote(story: Story) -> None:
    """Else there would be nothing to keep apart."""
    assert len(story.before) > STOP_AT
    assert len(story.after) > STOP_AT


def test_the_first_write_of_one_comes_after_the_last_of_the_other(story: Story) -> None:
    assert story.before[-1][0] < story.after[0][0], (story.before[-3:], story.after[:3])


def test_one_that_was_stopped_for_longer_than_its_lease_sends_nothing_more_and_ends(story: Story) -> None:
    assert story.late == [], story.said
    assert story.code not in (None, 0), story.said
    assert "leadership lost" in story.said
