"""The CA bundle that storage initializers of a namespace mount, copied from the system namespace (ART-3).

Runs before everything else of a reconcile, on the raw ConfigMap `inferenceservice-config`, so it reads only the one
setting it needs and leaves every other fault of the configuration to `plan/config.py`. Never deletes the copy.
"""

from collections.abc import Iterator
from typing import Final

from aioctl.api.kinds import CONFIG_MAP
from aioctl.api.objects import FieldError, Object, mapping, namespace_of, text
from aioctl.golang import gofields
from aioctl.plan.children import onto
from aioctl.plan.model import PlanError, Verb, Write
from aioctl.plan.observation import Observation, need

NAME: Final = "global-ca-bundle"
FILE: Final = "cabundle.crt"
_SOURCE: Final = "fails to get cabundle configmap for creating to user namespace: "
_WRITE: Final = "fails to reconcile cabundle configmap: "


def ca_bundle(obs: Observation, namespace: str, config_map: Object | None) -> Iterator[Write]:
    """The write that makes the namespace's copy, if one is configured and the copy differs (data only).

    `config_map` is `inferenceservice-config` in the system namespace, None when it does not exist. Raises PlanError with
    the text of the whole reconcile error.
    """
    source = _configured_name(config_map)
    if config_map is None or not source:
        return
    content = _content(obs, namespace_of(config_map), source)
    wanted = {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "data": {FILE: content},
    }
    live = need(obs.get(CONFIG_MAP, namespace, NAME))
    if live is None:
        yield Write(Verb.CREATE, CONFIG_MAP, namespace, NAME, body=wanted, error=_WRITE, exists_is_fine=True)
    elif dict(mapping(live, "data")) != wanted["data"]:
        yield Write(
            Verb.UPDATE, CONFIG_MAP, namespace, NAME, body=onto(wanted, live), live=live, error=_WRITE
        )


def _configured_name(config_map: Object | None) -> str:
    written = text(config_map, "data", "storageInitializer")
    if not written:
        return ""
    try:
        return text(gofields.read(written), "caBundleConfigMapName")
    except (ValueError, FieldError) as error:
        raise PlanError(f"unable to unmarshal storage initializer json string due to {error} ") from error


def _content(obs: Observation, namespace: str, name: str) -> str:
    found = need(obs.get(CONFIG_MAP, namespace, name))
    if found is None:
        raise PlanError(
            f'{_SOURCE}failed to get configmap {name} from the cluster: configmaps "{name}" not found'
        )
    content = text(found, "data", FILE)
    if not content:
        raise PlanError(f"{_SOURCE}specified cabundle file {FILE} not found in cabundle configmap {name}")
    return content
