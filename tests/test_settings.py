"""Settings: defaults, KServe's names, and errors that name variable, value and cure.

Rules: ENV-1.
"""

import re
from pathlib import Path

import pytest

import aioctl
from aioctl.kube.client import Client
from aioctl.kube.lease import LeaderElection
from aioctl.plan.policy import Strategy
from aioctl.settings import Settings, SettingsError, load, variable_of
from testbed.scripted_wire import ScriptedWire

REFERENCE = Path(__file__).parent.parent / "docs" / "reference.md"


def test_defaults() -> None:
    settings, warnings = load({})
    assert not warnings
    assert (settings.webhook_port, settings.metrics_port, settings.health_port) == (9443, 8080, 8081)
    assert str(settings.cert_dir) == "/tmp/k8s-webhook-server/serving-certs"
    assert (settings.workers, settings.pool_create_rate, settings.pool_stagger) == (4, 20.0, 0.1)
    assert settings.namespace == "kserve"
    assert settings.leader_election
    assert settings.migration_strategy is Strategy.AUTO


@pytest.mark.parametrize(
    ("environ", "namespace"),
    [
        ({"POD_NAMESPACE": "pod"}, "pod"),
        ({"AIOCTL_NAMESPACE": "own"}, "own"),
        ({"AIOCTL_NAMESPACE": "own", "POD_NAMESPACE": "pod"}, "own"),
        ({"AIOCTL_NAMESPACE": "", "POD_NAMESPACE": "pod"}, "pod"),
    ],
)
def test_namespace_falls_back_to_the_pods(environ: dict[str, str], namespace: str) -> None:
    assert load(environ)[0].namespace == namespace


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AIOCTL_WORKERS", "0", "1 to 256"),
        ("AIOCTL_WORKERS", "many", "1 to 256"),
        ("AIOCTL_METRICS_PORT", "65536", "0 to 65535"),
        ("AIOCTL_POOL_STAGGER", "-1", "0 to 60"),
        ("AIOCTL_LEADER_ELECTION", "yes", "true or false"),
        ("AIOCTL_LOG_FORMAT", "xml", "json"),
        ("AIOCTL_MIGRATION_STRATEGY", "sideways", "weighted"),
        ("AIOCTL_WEBHOOK_HOST", "somewhere", "IP address"),
        ("AIOCTL_NAMESPACE", "Not_A_Label", "DNS label"),
        ("POD_NAMESPACE", "Not_A_Label", "DNS label"),
        ("AIOCTL_NAMESPACE", "kserve\n", "DNS label"),
        ("AIOCTL_LEASE_NAME", "a..b", "DNS subdomain"),
        ("AIOCTL_CERT_SECRET", "Secret", "DNS subdomain"),
        ("SERVICE_CA_SIGNING_SECRET_NAME", "a/b", "DNS subdomain"),
        ("SERVICE_CA_SIGNING_SECRET_NAMESPACE", "a.b", "DNS label"),
        ("LLMISVC_AUTH_DISABLED", "1", "true or false"),
        ("CLUSTER_DOMAIN", "cluster.local.", "DNS subdomain"),
        ("GATEWAY_API_WILDCARD_HOSTNAME", "*", "DNS subdomain"),
        ("ISTIO_CA_CERTIFICATE_PATH", "/etc/a b", "path of a file"),
        ("AIOCTL_CONVERSION_BODY_LIMIT", "1", "1048576 to 2147483648"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_value_and_cure(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({variable: value})
    assert str(caught.value).startswith(f"{variable}={value!r}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "field", [name for name, field in Settings.model_fields.items() if field.annotation is str]
)
def test_no_text_is_taken_unseen(field: str) -> None:
    """It becomes a name, a host or a path, and fails far from here if it is none."""
    with pytest.raises(SettingsError, match=variable_of(field)):
        load({variable_of(field): "two words\n"})


def test_authorities_of_clients_have_to_be_readable_at_the_start(tmp_path: Path) -> None:
    absent, wrong = tmp_path / "absent", tmp_path / "wrong"
    wrong.write_text("no certificate")
    for file, says in (
        (absent, "No such file or directory"),
        (wrong, "must be a file with certificates in PEM"),
    ):
        with pytest.raises(SettingsError, match=f"AIOCTL_WEBHOOK_CLIENT_CA.*{says}"):
            load({"AIOCTL_WEBHOOK_CLIENT_CA": str(file)})


def test_names_with_dots_are_names_of_leases_and_secrets() -> None:
    given = {"AIOCTL_LEASE_NAME": "86f835c3.kserve.io", "AIOCTL_CERT_SECRET": "webhook.cert"}
    settings, _ = load(given)
    assert (settings.lease_name, settings.cert_secret) == tuple(given.values())


def test_every_wrong_value_gets_its_own_line() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"AIOCTL_WORKERS": "0", "AIOCTL_LOG_LEVEL": "loud"})
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == [
        "AIOCTL_WORKERS",
        "AIOCTL_LOG_LEVEL",
    ]


def test_two_servers_on_one_port_are_refused() -> None:
    with pytest.raises(SettingsError, match="AIOCTL_METRICS_PORT and AIOCTL_HEALTH_PORT are both 8081"):
        load({"AIOCTL_METRICS_PORT": "8081"})
    load({"AIOCTL_METRICS_PORT": "0", "AIOCTL_HEALTH_PORT": "0", "AIOCTL_WEBHOOK_PORT": "0"})
    load(
        {
            "AIOCTL_METRICS_PORT": "8081",
            "AIOCTL_METRICS_HOST": "127.0.0.2",
            "AIOCTL_HEALTH_HOST": "127.0.0.1",
        }
    )


def test_lease_times_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match="AIOCTL_LEASE_DURATION=5, AIOCTL_RENEW_DEADLINE=10"):
        load({"AIOCTL_LEASE_DURATION": "5"})


@pytest.mark.parametrize("retry", ["9", "8.4"])
def test_lease_times_are_refused_exactly_where_the_election_refuses_them(retry: str) -> None:
    with pytest.raises(SettingsError, match=f"AIOCTL_RETRY_PERIOD={retry}: must fall in this order"):
        load({"AIOCTL_RETRY_PERIOD": retry})
    settings, _ = load({"AIOCTL_RETRY_PERIOD": "8.3"})
    LeaderElection(
        Client(ScriptedWire()),
        settings.namespace,
        settings.lease_name,
        "me",
        lease_duration=settings.lease_duration,
        renew_deadline=settings.renew_deadline,
        retry_period=settings.retry_period,
    )


def test_unknown_names_of_ours_are_warned_about_and_others_are_not() -> None:
    _, warnings = load({"AIOCTL_WORKER": "8", "PATH": "/bin"})
    assert warnings == [
        "AIOCTL_WORKER is not a setting of aioctl and is ignored; did you mean AIOCTL_WORKERS?"
    ]


def test_booleans_are_true_or_false_in_any_case() -> None:
    assert load({"LLMISVC_AUTH_DISABLED": "TRUE"})[0].auth_disabled
    assert not load({"AIOCTL_LEADER_ELECTION": "False"})[0].leader_election


PINS = "LLM_INFERENCE_SERVICE_VERSIONED_CONFIG"
GUARD = "PREVENT_WELL_KNOWN_CONFIG_DELETION"
TRUE, FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


@pytest.mark.parametrize("value", [*TRUE, *FALSE])
def test_kserves_booleans_are_gos_words(value: str) -> None:
    settings, warnings = load({PINS: value, GUARD: value})
    assert (settings.versioned_config, settings.prevent_config_deletion) == (value in TRUE, value in TRUE)
    assert warnings == []


@pytest.mark.parametrize("variable", [PINS, f"{PINS}_PREFIX"])
@pytest.mark.parametrize("value", ["yes", "on", "2", "tRUE", " true", "true\n", "fALSE"])
def test_what_is_no_boolean_to_go_pins_no_configs_and_is_told(variable: str, value: str) -> None:
    settings, warnings = load({variable: value})
    assert not settings.versioned_config
    assert warnings == [f"{variable}={value!r} is no boolean to KServe and counts as false"]


def test_only_the_variable_that_is_read_is_told_of() -> None:
    settings, warnings = load({PINS: "true", f"{PINS}_PREFIX": "yes"})
    assert (settings.versioned_config, warnings) == (True, [])
    assert load({PINS: "", f"{PINS}_PREFIX": "0"})[0].versioned_config is False


@pytest.mark.parametrize("value", ["yes", "on", "2"])
def test_a_guard_does_not_go_off_by_a_typo(value: str) -> None:
    with pytest.raises(SettingsError, match=f"{GUARD}={value!r}: must be true or false"):
        load({GUARD: value})


def test_the_reference_page_lists_every_variable_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| (.*?) \| (.*?) \|$", REFERENCE.read_text(), re.MULTILINE)
    listed = {
        name: (default, meaning)
        for name, default, meaning in rows
        if name.startswith(("AIOCTL_", "LLMISVC_"))
        or name in {variable_of(field) for field in Settings.model_fields}
    }
    defaults = load({})[0]
    expected = {
        variable_of(field): (shown(getattr(defaults, field)), info.description)
        for field, info in Settings.model_fields.items()
    }
    assert listed == expected


def shown(value: object) -> str:
    """A default as the reference page shows it."""
    if value == "":
        return "(empty)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{getattr(value, 'value', value)}`"


def test_every_setting_has_a_reader() -> None:
    """A knob that nobody reads is a promise that is not kept."""
    package = Path(aioctl.__file__).parent
    texts = [file.read_text() for file in package.rglob("*.py") if file.name != "settings.py"]
    unread = [field for field in Settings.model_fields if not any(f".{field}" in text for text in texts)]
    assert unread == []
