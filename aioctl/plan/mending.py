"""What is stored though no write of the stored version would pass, mended by a write of the older version (CONV-9).

A carrier annotation of v1alpha1 once put into v1alpha2 what its schema refuses, such as a port that is a text. The API server
does not look at what a conversion makes, but then refuses every write of v1alpha2: status, labels, finalizers, users'
edits. The way down and up again keeps what fits, so one patch of v1alpha1 that changes nothing stores what v1alpha2 accepts.
"""

from typing import Final

from aioctl.api import kinds
from aioctl.api.carrier_checks import target_ports
from aioctl.api.conversion import up
from aioctl.api.objects import FieldError, Object, name_of, namespace_of, resource_version_of, sequence
from aioctl.api.schema_checks import fits
from aioctl.api.v1alpha1 import down
from aioctl.plan.model import Verb, Write

_PORTS: Final = ("spec", "router", "scheduler", "pool", "spec", "targetPorts")


def mend(service: Object) -> Write | None:
    """The write that mends the service; None when nothing is wrong, or when it would change nothing."""
    ports = _ports(service)
    if not ports or fits(target_ports, ports) or _ports(up(down(service))) == ports:
        return None
    return Write(
        Verb.PATCH,
        kinds.SERVICE,
        namespace_of(service),
        name_of(service),
        body={"metadata": {"resourceVersion": resource_version_of(service)}},
        live=service,
        error=f"failed to mend {'.'.join(_PORTS)}: ",
        through_old=True,
        warnings=(("Mended", f"{'.'.join(_PORTS)} held what its schema refuses: only what fits was kept"),),
    )


def _ports(service: Object) -> list[object]:
    try:
        return list(sequence(service, *_PORTS))
    except FieldError:
        return []
