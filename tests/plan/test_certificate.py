"""When the TLS secret is signed, with which names and addresses (CERT-1)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import FieldError, Object
from aioctl.plan.facts import Facts
from aioctl.plan.model import Context, PlanError, Sign, Verb
from aioctl.plan.observation import Certificate
from aioctl.plan.policy import Policy
from aioctl.plan.workload.certificate import certificate, expected_addresses, expected_names
from testbed.plan_world import CONFIG, HF, MAIN, NOW, World, service

SECRET = "svc-kserve-self-signed-certs"
WORKLOAD = "svc-kserve-workload-svc"
LABELS = {names.NAME: "svc", names.PART_OF: names.PART_OF_VALUE}
PICKER = {"template": MAIN, "pool": {"spec": {"endpointPickerRef": {"name": "svc-epp-service"}}}}
ROUTED = {**HF, "router": {"scheduler": PICKER}}


def core_service(world: World, name: str, **spec: Any) -> None:
    world.put(kinds.CORE_SERVICE, name, metadata={"labels": LABELS}, spec=spec)


def signed(world: World, spec: dict[str, Any], **more: Any) -> list[Sign | None]:
    """Applies the secret's write; what was signed for, per write."""
    return [write.sign for write in world.apply(certificate(world.context(spec, **more)))]


def test_the_names_are_localhost_the_workload_and_the_picker() -> None:
    assert expected_names(World().context(HF)) == (
        "localhost",
        f"{WORKLOAD}.ns.svc",
        f"{WORKLOAD}.ns.svc.cluster.local",
    )
    found = expected_names(World().context(ROUTED, policy=Policy(cluster_domain="dom")))
    assert found == tuple(sorted(found))
    assert {"svc-epp-service.ns.svc", "svc-epp-service.ns.svc.dom"} < set(found)


def test_an_external_pool_names_its_own_picker_if_it_can_be_read() -> None:
    spec = {**HF, "router": {"scheduler": {"pool": {"ref": {"name": "p"}}}}}
    world = World()
    assert len(expected_names(world.context(spec))) == 3
    world.put(kinds.POOL_V1, "p", spec={"endpointPickerRef": {"name": "theirs"}})
    assert "theirs.ns.svc" in expected_names(world.context(spec))


def test_addresses_that_are_none_are_left_out() -> None:
    world = World()
    world.put(kinds.POD, "pending", metadata={"labels": LABELS}, status={})
    world.put(
        kinds.POD,
        "up",
        metadata={"labels": LABELS},
        status={"podIP": "10.1.0.2", "podIPs": [{"ip": "FD00::0:1"}]},
    )
    world.put(kinds.POD, "other", status={"podIP": "10.1.0.9"})
    core_service(world, "headless", clusterIP="None", clusterIPs=["None"])
    core_service(world, WORKLOAD, clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"])
    of_the_picker = {"labels": {**LABELS, names.COMPONENT: names.SCHEDULER_COMPONENT}}
    world.put(kinds.POD, "picker", metadata=of_the_picker, status={"podIP": "10.1.0.3"})
    world.put(kinds.CORE_SERVICE, "picker", metadata=of_the_picker, spec={"clusterIP": "10.0.0.3"})
    assert expected_addresses(world.context(HF)) == ("10.0.0.1", "10.1.0.2", "127.0.0.1", "fd00::1")


def test_a_new_service_costs_one_create_and_one_update() -> None:
    world = World()
    first, second = signed(world, ROUTED), signed(world, ROUTED)
    assert [sign.ip_addresses for sign in first if sign] == [("127.0.0.1",)]
    assert second == []
    core_service(world, WORKLOAD, clusterIP="10.0.0.1")
    assert [sign.ip_addresses for sign in signed(world, ROUTED) if sign] == [("10.0.0.1", "127.0.0.1")]
    assert signed(world, ROUTED) == []
    assert [write.verb for write in world.writes] == [Verb.CREATE, Verb.UPDATE]


def test_a_pod_that_gets_an_address_later_is_added_and_one_that_goes_is_not_missed() -> None:
    world = World()
    core_service(world, WORKLOAD, clusterIP="10.0.0.1")
    signed(world, HF)
    world.put(kinds.POD, "up", metadata={"labels": LABELS}, status={"podIP": "10.1.0.2"})
    assert len(signed(world, HF)) == 1
    del world.objects[ObjectRef(kinds.POD, "ns", "up")]
    assert signed(world, HF) == []


def test_the_secret_says_when_it_expires_and_only_a_new_pair_moves_it() -> None:
    world = World()
    core_service(world, WORKLOAD, clusterIP="10.0.0.1")
    signed(world, HF)
    notes = world.get(kinds.SECRET, SECRET)["metadata"]["annotations"]
    assert notes == {"certificates.kserve.io/expiration": "2033-12-30T00:00:00Z"}
    world.get(kinds.SECRET, SECRET)["metadata"]["labels"] = {}
    world.get(kinds.SECRET, SECRET)["data"] = {"tls.crt": "a", "tls.key": "b"}
    assert signed(world, HF, now=NOW + timedelta(days=1)) == [None]
    repaired = world.get(kinds.SECRET, SECRET)
    assert repaired["metadata"]["annotations"] == notes
    assert repaired["data"] == {"tls.crt": "a", "tls.key": "b"}
    assert signed(world, HF, now=datetime(2034, 1, 1, tzinfo=UTC)) != [None]


PAST, LATER = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("keys", "notes", "written"),
    [
        (("a", "b"), {"b": PAST}, "a"),
        (("a", "b"), {"b": PAST, "a": LATER}, None),
        (("a", "b"), {"a": PAST, "b": LATER}, "a"),
        (("a", "b"), {"a": "soon", "b": PAST}, None),
        (("a",), {names.CERTIFICATE_EXPIRY: PAST}, "a"),
        (("a",), {names.CERTIFICATE_EXPIRY: PAST, "a": LATER}, None),
        (("a",), {names.CERTIFICATE_EXPIRY: LATER}, None),
        (("a",), {"b": PAST}, None),
        (("a",), {}, None),
    ],
)
def test_the_first_annotation_that_is_there_says_when_and_the_first_key_is_written(
    keys: tuple[str, ...], notes: dict[str, str], written: str | None
) -> None:
    world = World()
    core_service(world, WORKLOAD, clusterIP="10.0.0.1")
    config = replace(CONFIG, expiration_annotations=keys)
    signed(world, HF, config=config)
    notes = {"mine": "x", **notes}
    world.get(kinds.SECRET, SECRET)["metadata"]["annotations"] = dict(notes)
    signs = signed(world, HF, config=config)
    after = world.get(kinds.SECRET, SECRET)["metadata"]["annotations"]
    if written is None:
        assert signs == []
        assert after == notes
    else:
        assert len(signs) == 1
        assert after == {"mine": "x", written: "2033-12-30T00:00:00Z"}
        assert signed(world, HF, config=config) == []


def test_a_pair_without_its_ca_is_kept() -> None:
    world = World()
    core_service(world, WORKLOAD, clusterIP="10.0.0.1")
    signed(world, HF)
    world.get(kinds.SECRET, SECRET)["data"] = {"tls.crt": "a", "tls.key": "b"}
    assert signed(world, HF) == []


def test_the_tokenizer_is_named_where_there_is_one() -> None:
    routed = {**HF, "router": {"scheduler": {**PICKER, "tokenizer": {"template": MAIN}}}}
    found = set(expected_names(World().context(routed)))
    assert found - set(expected_names(World().context(ROUTED))) == {
        "svc-tokenizer.ns.svc",
        "svc-tokenizer.ns.svc.cluster.local",
    }


@pytest.mark.parametrize(
    "expiry",
    ["", "soon", "2020-01-01", "2020-01-01T00:00Z", "20200101T000000Z", "2020-01-01 00:00:00Z"],
)
def test_an_unreadable_expiry_is_no_expiry(expiry: str) -> None:
    world = World()
    core_service(world, WORKLOAD, clusterIP="10.0.0.1")
    signed(world, HF)
    world.get(kinds.SECRET, SECRET)["metadata"]["annotations"] = {names.CERTIFICATE_EXPIRY: expiry}
    assert all(sign is None for sign in signed(world, HF))


@pytest.mark.parametrize(
    "pair", [None, Certificate(frozenset(), frozenset(), NOW), "past"], ids=["unusable", "at the end", "past"]
)
def test_a_pair_that_cannot_be_used_is_replaced_before_any_address_is_known(pair: Any) -> None:
    world = World()
    signed(world, HF)
    if pair is None:
        world.certificates.clear()
    elif pair == "past":
        world.get(kinds.SECRET, SECRET)["metadata"]["annotations"] = {
            names.CERTIFICATE_EXPIRY: "2020-01-01T00:00:00Z"
        }
    else:
        world.certificates[f"ns/{SECRET}"] = pair
    assert len(signed(world, HF)) == 1


def test_the_signer_is_used_where_it_exists() -> None:
    signer = ObjectRef(kinds.SECRET, "openshift-service-ca", "signing-key")
    policy = Policy(signer=signer)
    world = World()
    absent = [sign.signer for sign in signed(world, HF, policy=policy) if sign]
    assert absent == [None]
    world.put(kinds.SECRET, "signing-key", "openshift-service-ca")
    world.certificates.clear()
    assert [sign.signer for sign in signed(world, HF, policy=policy) if sign] == [signer]


class _Broken(Facts):
    def signer(self, secret: Object) -> str:
        return "CA private key is not an RSA key"


def test_a_broken_signer_is_an_error_in_the_words_of_the_go_controller() -> None:
    signer = ObjectRef(kinds.SECRET, "openshift-service-ca", "signing-key")
    facts = _Broken({signer: {"metadata": {}}})
    ctx = World().context(HF)
    broken = Context(facts, ctx.service, HF, ctx.config, Policy(signer=signer), NOW)
    with pytest.raises(PlanError) as caught:
        list(certificate(broken))
    assert str(caught.value) == (
        "failed to get expected self-signed certificate secret: failed to create self-signed TLS certificate: "
        "failed to load CA certificate (required for signing): CA private key is not an RSA key"
    )


def test_a_stopped_service_has_no_secret() -> None:
    world = World()
    signed(world, HF)
    signed(world, HF, of=service(annotations={names.STOP: "true"}))
    assert world.names(kinds.SECRET) == []


@pytest.mark.parametrize("name", ["*.fleet", "a\x00", "a\nb"])
def test_no_certificate_names_what_is_no_service(name: str) -> None:
    inline = {"spec": {"endpointPickerRef": {"name": name}}}
    with pytest.raises(FieldError, match=r"^spec\.router\.scheduler\.pool\.spec\.endpointPickerRef\.name: "):
        expected_names(World().context({**HF, "router": {"scheduler": {"pool": inline}}}))
    world = World()
    world.put(kinds.POOL_V1, "p", spec={"endpointPickerRef": {"name": name}})
    with pytest.raises(PlanError, match=r"^InferencePool ns/p: spec\.endpointPickerRef\.name: "):
        expected_names(world.context({**HF, "router": {"scheduler": {"pool": {"ref": {"name": "p"}}}}}))
