"""Every knob of the program, read once at the edge from the environment and passed down; no other module reads it.

Durations are numbers of seconds, booleans `true` or `false`. A value that cannot be used stops the start with a
`SettingsError` that names the variable, the value and what is allowed; unknown `AIOCTL_*` names are reported as warnings, and so is what KServe
takes for something else than it says.
`docs/reference.md` lists the same table; a test compares the two.
"""

import difflib
import ipaddress
import itertools
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aioctl.api import body_limits
from aioctl.api.names import WELL_KNOWN_SUFFIXES
from aioctl.api.user_names import LABEL, SUBDOMAIN
from aioctl.controller.knobs import Knobs
from aioctl.golang import gobool
from aioctl.plan.policy import PodForm, Policy, Probe, Strategy
from aioctl.plan.waves import parse_budget, parse_window

PREFIX: Final = "AIOCTL_"
_KNOBS, _POLICY = Knobs(), Policy()  # the homes of the defaults of what they hold
STATE_DIR: Final = "/tmp/aioctl"  # noqa: S108  in it only a folder that belongs to this user is used
KSERVE_CERT_DIR: Final = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108  KServe's mount point, ENV-1


class SettingsError(ValueError):
    """One or more variables have values that cannot be used; one line for each."""


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(Enum):
    JSON = "json"
    CONSOLE = "console"


class CertMode(Enum):
    SELF = "self"
    FILES = "files"


class ServiceKey(Enum):
    EC = "ec"
    RSA4096 = "rsa4096"


def _boolean(value: Any) -> Any:
    if isinstance(value, str):
        match value.strip().lower():
            case "true":
                return True
            case "false":
                return False
            case _:
                raise ValueError("must be true or false")
    return value


def _go_boolean(value: Any) -> Any:
    """Go's words, which KServe reads, beside ours. Else it is refused: a guard is not to go off by a typo."""
    found = gobool.parse(value) if isinstance(value, str) else None
    return _boolean(value) if found is None else found


def _go_boolean_or_false(value: Any) -> Any:
    """As KServe reads a variable of which no text is an error."""
    return bool(gobool.parse(value)) if isinstance(value, str) else value


Bool = Annotated[bool, BeforeValidator(_boolean)]
GoBool = Annotated[bool, BeforeValidator(_go_boolean)]
LenientGoBool = Annotated[bool, BeforeValidator(_go_boolean_or_false)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
_RENEWAL_SPREAD: Final = 1.2
"""Candidates and holders look up to a fifth later than `retry_period` (see `kube/lease.py`)."""


class Settings(BaseModel):
    """Frozen; one attribute a variable. The description of each field is its line in docs/reference.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_host: str = Field("", description="address the webhook server listens on; empty means all")
    webhook_port: Port = Field(9443, description="port of the webhook server; 0 picks a free one")
    webhook_client_ca: str = Field(
        "",
        description="file with the authorities (PEM) of the API server's client certificate, which admission calls then need; empty means that nobody is asked",
    )
    metrics_host: str = Field("", description="address of the metrics page; empty means all")
    metrics_port: Port = Field(8080, description="port of the metrics page; 0 means none")
    metrics_auth: Bool = Field(
        False,
        description="`true`: the metrics port speaks TLS with the webhooks' certificate and serves only holders of a token who may `get` the path (TokenReview, SubjectAccessReview)",
    )
    ui: Bool = Field(
        True,
        description="`true`: the metrics port also serves the operators' page at `/ui/`, which shows the fleet and changes nothing",
    )
    service_series: Annotated[int, Field(ge=0, le=100000)] = Field(
        500,
        description="services that have series of their own on the leader's metrics page (about fifty each), at most, those that are not Ready first; 0 means none",
    )
    health_host: str = Field("", description="address of the probes; empty means all")
    health_port: Port = Field(8081, description="port of the probes; 0 means none")
    cert_dir: Path = Field(
        Path(KSERVE_CERT_DIR), description="folder with tls.crt and tls.key of the webhook server"
    )
    cert_mode: CertMode = Field(
        CertMode.FILES,
        description="`files`: the pair in the folder above; `self`: made and rotated by aioctl in a Secret",
    )
    cert_secret: str = Field("aioctl-webhook-cert", description="name of that Secret in mode `self`")
    cert_service: str = Field(
        "aioctl-webhook", description="Service whose names the certificate carries in mode `self`"
    )
    cert_overlap: Annotated[float, Field(ge=1, le=604800)] = Field(
        3600.0,
        description="how long old and new CA stand side by side before the new leaf is served, in mode `self`",
    )
    namespace: str = Field(
        _POLICY.system_namespace,
        description="namespace of the ConfigMap, the presets, the lease and the Secret; else `POD_NAMESPACE`",
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        _KNOBS.workers, description="services reconciled at the same time"
    )
    reconcile_deadline: Annotated[float, Field(ge=1, le=3600)] = Field(
        _KNOBS.reconcile_deadline,
        description="longest time one reconcile may take before it is cancelled and repeated",
    )
    pool_create_rate: Annotated[float, Field(ge=0, le=10000)] = Field(
        _KNOBS.pool_create_rate,
        description="InferencePool creations per second over all services; 0 means unlimited",
    )
    pool_stagger: Annotated[float, Field(ge=0, le=60)] = Field(
        _KNOBS.pool_stagger, description="shortest time between the first and the second pool of one service"
    )
    status_settle: Annotated[float, Field(ge=0, le=60)] = Field(
        _KNOBS.status_settle,
        description="how long a problem, or a readiness that is news, waits before it is written to the status; progress waits until it rests, three times that, at most twenty times (240 while the controller itself goes on writing for the service)",
    )
    migration_strategy: Strategy = Field(
        Strategy.AUTO,
        description="`auto` (by what each gateway is known to do), `weighted`, `swap` or `hold`; annotation `aioctl.dev/migration-strategy` wins",
    )
    probe: Probe = Field(
        _POLICY.probe,
        description="`status`: where it is not known whether a gateway serves v1, it is asked by an HTTPRoute without traffic; `traffic`: its word counts once a request goes through it as well; `off`: it is not asked",
    )
    pool_status_grace: Seconds = Field(
        _POLICY.pool_status_grace,
        description="how old a pool is before a gateway that resolves its route and wrote no status of it counts as one that writes none",
    )
    pod_form: PodForm = Field(
        _POLICY.pod_form,
        description="`keep`: pods of model servers that nobody changed stay as an earlier controller made them; `current`: each takes the form of this release, one after another; annotation `aioctl.dev/pod-form` wins",
    )
    roll_interval: Annotated[float, Field(ge=0, le=86400)] = Field(
        _KNOBS.roll_interval, description="time between two such rollouts over all services; 0 means none"
    )
    migration_budget: str = Field(
        "",
        description="services, such as `5`, or a share of all, such as `10%`, that may have moved to v1 and not be Ready yet; the others wait (`WaitsForBudget`); empty or 0 means no limit (strategy `hold` lets none move)",
    )
    migration_window: str = Field(
        "",
        description="when a move may begin: minute, hour, day of month, month and day of week as cron has them, in UTC (`* 1-4 * * 1-5`); empty means always",
    )
    service_key: ServiceKey = Field(
        ServiceKey.EC, description="key type of the services' certificates: `ec` (P-256) or `rsa4096`"
    )
    api_rate: Annotated[float, Field(ge=0, le=10000)] = Field(
        300.0, description="requests per second to the API server; 0 means unlimited"
    )
    api_burst: Annotated[int, Field(ge=1, le=100000)] = Field(
        600, description="requests that may go at once before that"
    )
    api_timeout: Annotated[float, Field(ge=1, le=600)] = Field(
        35.0, description="longest time one request may take; a page of a list may take 60"
    )
    discovery_interval: Annotated[float, Field(ge=1, le=60)] = Field(
        _KNOBS.discovery_interval, description="how often it is checked which optional kinds are served"
    )
    resync: Annotated[float, Field(ge=60, le=604800)] = Field(
        _KNOBS.resync, description="how often every service is looked at again although nothing changed"
    )
    conversion_body_limit: Annotated[int, Field(ge=1 << 20, le=1 << 31)] = Field(
        body_limits.CONVERSION, description="largest conversion review in bytes; larger ones get 413"
    )
    storage_migration: Bool = Field(True, description="rewrite stored objects of old versions (leader only)")
    storage_migration_rate: Annotated[float, Field(gt=0, le=1000)] = Field(
        20.0, description="objects rewritten per second by the storage migration"
    )
    leader_election: Bool = Field(True, description="reconcile only while holding the lease")
    lease_name: str = Field(
        "llminferenceservice-kserve-controller-manager",
        description="name of the lease (upstream's, so both exclude each other)",
    )
    lease_duration: Annotated[float, Field(ge=1, le=600)] = Field(
        15.0, description="others may take the lease after this"
    )
    renew_deadline: Annotated[float, Field(ge=0.5, le=600)] = Field(
        10.0, description="give up leading after this without renewal"
    )
    retry_period: Annotated[float, Field(ge=0.1, le=60)] = Field(
        2.0, description="time between renewals of the lease; candidates look twice as often"
    )
    drain: Annotated[float, Field(ge=0, le=60)] = Field(
        _KNOBS.grace,
        description="how long running reconciles, and then running calls, may finish after SIGTERM; a longer one needs a longer `terminationGracePeriodSeconds`",
    )
    stall_warning: Annotated[float, Field(ge=0.1, le=60)] = Field(
        2.0,
        description="a stretch that holds the event loop for longer is logged with its service or review and its stack",
    )
    stall_limit: Annotated[float, Field(ge=0, le=600)] = Field(
        10.0,
        description="a stretch that holds the event loop for longer ends the process, so that it starts anew; 0 means never. Keep it well below `AIOCTL_LEASE_DURATION`: else a second replica takes over and is held, too, before the first is back",
    )
    state_dir: Path = Field(
        Path(STATE_DIR),
        description="folder that survives a restart of the container; which service is being planned is written there",
    )
    confined_cpu: Annotated[int, Field(ge=1, le=60)] = Field(
        _KNOBS.child_limits.cpu,
        description="CPU time a child process may take to plan a service that ended a process",
    )
    confined_memory: Annotated[int, Field(ge=128 << 20, le=1 << 36)] = Field(
        _KNOBS.child_limits.memory, description="address space in bytes that it may take"
    )
    log_level: LogLevel = Field(LogLevel.INFO, description="`debug`, `info`, `warning` or `error`")
    log_format: LogFormat = Field(LogFormat.JSON, description="`json` or `console`")

    auth_disabled: Bool = Field(
        _POLICY.auth_disabled,
        description="treat every service as if annotation enable-auth were `false`; `false` where Kuadrant protects the routes, as on OpenShift",
    )
    monitoring_disabled: Bool = Field(
        _POLICY.monitoring_disabled,
        description="make no PodMonitor, ServiceMonitor and their access",
    )
    scc_disabled: Bool = Field(
        _POLICY.scc_disabled,
        description="make no RoleBinding to the OpenShift SCC role",
    )
    config_prefix: str = Field(
        _POLICY.config_prefix,
        description="what the names of the well-known configs begin with: the presets that services are laid over",
    )
    versioned_config: LenientGoBool = Field(
        _POLICY.pins_configs,
        description="a service keeps the well-known configs it began with, by name, in `status.annotations`; `LLM_INFERENCE_SERVICE_VERSIONED_CONFIG_PREFIX` is read where this is not set. As in KServe what is no boolean of Go's (`1`, `t`, `T`, `TRUE`, `true`, `True`, `0`, ...) counts as `false`; a warning says so",
    )
    prevent_config_deletion: GoBool = Field(
        True,
        description="refuse to delete well-known configs of the system namespace; `false`: only warn",
    )
    signing_secret_name: str = Field(
        "signing-key",
        description="CA Secret that signs the services' certificates",
    )
    signing_secret_namespace: str = Field(
        "openshift-service-ca",
        description="namespace of that Secret",
    )
    wildcard_hostname: str = Field(
        _POLICY.wildcard_hostname,
        description="replaces `*` of a wildcard host name in URLs",
    )
    istio_ca_path: str = Field(
        _POLICY.istio_ca_path,
        description="CA file that DestinationRules name; where no CA signed the certificates they do not verify",
    )
    cluster_domain: str = Field(
        _POLICY.cluster_domain,
        description="DNS domain of the cluster, where `/etc/resolv.conf` does not say it",
    )

    @field_validator("namespace", "cert_service", "signing_secret_namespace", mode="after")
    @classmethod
    def _is_label(cls, value: str) -> str:
        if not LABEL.fullmatch(value):
            raise ValueError("must be a DNS label: lower-case letters, digits and '-', at most 63 characters")
        return value

    @field_validator(
        "cert_secret",
        "lease_name",
        "signing_secret_name",
        "wildcard_hostname",
        "cluster_domain",
        mode="after",
    )
    @classmethod
    def _is_subdomain(cls, value: str) -> str:
        if not SUBDOMAIN.fullmatch(value):
            raise ValueError(
                "must be a DNS subdomain: labels of lower-case letters, digits and '-' with dots between them, "
                "at most 253 characters"
            )
        return value

    @field_validator("migration_budget", "migration_window", mode="after")
    @classmethod
    def _is_wave(cls, value: str, info: ValidationInfo) -> str:
        parse: Callable[[str], object] = (
            parse_budget if info.field_name == "migration_budget" else parse_window
        )
        parse(value)
        return value

    @field_validator("config_prefix", mode="after")
    @classmethod
    def _begins_a_name(cls, value: str) -> str:
        longest = max(WELL_KNOWN_SUFFIXES, key=len)
        if not SUBDOMAIN.fullmatch(f"{value}{longest}"):
            raise ValueError(f"must begin a DNS subdomain: {value}{longest} is none")
        return value

    @field_validator("istio_ca_path", mode="after")
    @classmethod
    def _is_one_word(cls, value: str) -> str:
        """A file in the proxies, of which nobody here knows more."""
        if not value.isprintable() or any(letter.isspace() for letter in value):
            raise ValueError("must be the path of a file, without spaces")
        return value

    @field_validator("webhook_client_ca", mode="after")
    @classmethod
    def _is_bundle(cls, value: str) -> str:
        """Without it nobody could be told from a stranger, so a start with a wrong file is no start."""
        if value:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(
                    cadata=Path(value).read_text("ascii")
                )
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                reason = getattr(error, "strerror", None) or error
                raise ValueError(f"must be a file with certificates in PEM: {reason}") from error
        return value

    @field_validator("webhook_host", "metrics_host", "health_host", mode="after")
    @classmethod
    def _is_host(cls, value: str) -> str:
        if value and value != "localhost":
            try:
                ipaddress.ip_address(value)
            except ValueError as error:
                raise ValueError("must be an IP address, localhost or empty") from error
        return value

    @field_validator(
        "migration_strategy",
        "pod_form",
        "probe",
        "log_level",
        "log_format",
        "cert_mode",
        "service_key",
        mode="before",
    )
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _ports_apart(self) -> Self:
        listeners = [
            (name, getattr(self, f"{name}_host"), getattr(self, f"{name}_port"))
            for name in ("webhook", "metrics", "health")
        ]
        for (one, host, port), (other, other_host, other_port) in itertools.combinations(listeners, 2):
            if port and port == other_port and (host == other_host or not host or not other_host):
                raise ValueError(
                    f"{variable_of(f'{one}_port')} and {variable_of(f'{other}_port')} are both {port}: "
                    "each server needs a port of its own"
                )
        return self

    @model_validator(mode="after")
    def _stall_times_in_order(self) -> Self:
        if self.stall_limit and not self.stall_warning < self.stall_limit:
            raise ValueError(
                f"AIOCTL_STALL_WARNING={self.stall_warning:g}, AIOCTL_STALL_LIMIT={self.stall_limit:g}: "
                "the warning must come before the limit"
            )
        return self

    @model_validator(mode="after")
    def _lease_times_in_order(self) -> Self:
        if not self.retry_period * _RENEWAL_SPREAD < self.renew_deadline < self.lease_duration:
            raise ValueError(
                f"AIOCTL_LEASE_DURATION={self.lease_duration:g}, AIOCTL_RENEW_DEADLINE={self.renew_deadline:g}, "
                f"AIOCTL_RETRY_PERIOD={self.retry_period:g}: must fall in this order, each smaller than the one before, "
                f"the last more than {_RENEWAL_SPREAD:g} times"
            )
        return self


_KSERVE_NAMES: Final = {
    "auth_disabled": "LLMISVC_AUTH_DISABLED",
    "monitoring_disabled": "LLMISVC_MONITORING_DISABLED",
    "scc_disabled": "LLMISVC_SCC_DISABLED",
    "config_prefix": "LLM_INFERENCE_SERVICE_CONFIG_PREFIX",
    "versioned_config": "LLM_INFERENCE_SERVICE_VERSIONED_CONFIG",
    "prevent_config_deletion": "PREVENT_WELL_KNOWN_CONFIG_DELETION",
    "signing_secret_name": "SERVICE_CA_SIGNING_SECRET_NAME",
    "signing_secret_namespace": "SERVICE_CA_SIGNING_SECRET_NAMESPACE",
    "wildcard_hostname": "GATEWAY_API_WILDCARD_HOSTNAME",
    "istio_ca_path": "ISTIO_CA_CERTIFICATE_PATH",
    "cluster_domain": "CLUSTER_DOMAIN",
}
"""Fields that keep KServe's variable (ENV-1, AUTH-1, URL-1, PRESET-1)."""
_OTHER_VARIABLES: Final = {
    "namespace": "POD_NAMESPACE",
    "versioned_config": "LLM_INFERENCE_SERVICE_VERSIONED_CONFIG_PREFIX",
}
"""Variables that are read where a field's own is not set: the pod's namespace, and a name that KServe gave up."""
_LENIENT: Final = ("versioned_config",)
"""Fields whose words beside Go's are taken for false, and not refused."""


def variable_of(field: str) -> str:
    """The environment variable behind a field of Settings."""
    return _KSERVE_NAMES.get(field, PREFIX + field.upper())


def load(environ: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """The settings and warnings about names and values. Raises SettingsError naming each bad variable, its value and cure."""
    environ = os.environ if environ is None else environ
    known = {variable_of(field) for field in Settings.model_fields}
    given = {
        field: value
        for field in Settings.model_fields
        if (value := environ.get(_variable_read(environ, field)))
    }
    warnings = [
        _unknown(name, known) for name in sorted(environ) if name.startswith(PREFIX) and name not in known
    ]
    warnings += [
        f"{_variable_read(environ, field)}={given[field]!r} is no boolean to KServe and counts as false"
        for field in _LENIENT
        if field in given and gobool.parse(given[field]) is None
    ]
    try:
        return Settings.model_validate(given), warnings
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(environ, problem) for problem in error.errors())) from error


def _variable_read(environ: Mapping[str, str], field: str) -> str:
    """The variable that has a field's value: its own, or the one that is read where that is not set."""
    own = variable_of(field)
    return own if environ.get(own) else _OTHER_VARIABLES.get(field, own)


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not a setting of aioctl and is ignored" + (
        f"; did you mean {close[0]}?" if close else ""
    )


def _explain(environ: Mapping[str, str], problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    field = str(problem["loc"][0])
    variable = _variable_read(environ, field)
    allowed = _range(field)
    return f"{variable}={environ.get(variable, '')!r}: {message}" + (
        f" (allowed: {allowed})" if allowed else ""
    )


def _range(field: str) -> str:
    low = high = ""
    for item in Settings.model_fields[field].metadata:
        low = (
            _number(item.ge)
            if hasattr(item, "ge")
            else f"more than {_number(item.gt)}"
            if hasattr(item, "gt")
            else low
        )
        high = _number(item.le) if hasattr(item, "le") else high
    return f"{low} to {high}" if low or high else ""


def _number(bound: float) -> str:
    """Whole numbers with all their digits, as somebody would type them."""
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"
