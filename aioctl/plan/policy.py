"""What the operator decided for every service alike (`Policy`), and the choices that it is made of."""

from dataclasses import dataclass
from enum import Enum

from aioctl.api.kinds import ObjectRef
from aioctl.api.names import CONFIG_PREFIX


class Strategy(Enum):
    """How traffic moves between the pool generations (MIG-1)."""

    AUTO = "auto"
    """By what each gateway is known to do (MIG-7)."""
    WEIGHTED = "weighted"
    SWAP = "swap"
    HOLD = "hold"


class PodForm(Enum):
    """Whether pods of model servers that nobody changed take the form of today (FORM-1)."""

    KEEP = "keep"
    CURRENT = "current"


class Probe(Enum):
    """Whether gateways are asked with a route of their own what they serve (MIG-8)."""

    OFF = "off"
    STATUS = "status"
    TRAFFIC = "traffic"
    """Their word counts once a request goes through as well (MIG-13)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided, from the environment; the same for every service."""

    system_namespace: str = "kserve"
    cluster_domain: str = "cluster.local"
    wildcard_hostname: str = "inference"
    auth_disabled: bool = True
    """Authentication is asked for where a distribution brings what checks it: off unless somebody turns it on (AUTH-1)."""
    monitoring_disabled: bool = False
    scc_disabled: bool = False
    strategy: Strategy = Strategy.WEIGHTED
    pod_form: PodForm = PodForm.KEEP
    probe: Probe = Probe.STATUS
    pool_status_grace: float = 120.0
    """Seconds after which a gateway that has written no status of a pool counts as one that writes none (POOL-7)."""
    signer: ObjectRef | None = None
    """The CA secret for the services' certificates; None: always self-signed."""
    config_prefix: str = CONFIG_PREFIX
    """What the names of well-known configs begin with (PRESET-1)."""
    pins_configs: bool = True
    """A service keeps the well-known configs it began with (PRESET-6)."""
    turn: str = ""
    """Of one plan only: what a service that is to move waits for, as others are on the move; empty when it may (MIG-10)."""
    istio_ca_path: str = "/var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt"
