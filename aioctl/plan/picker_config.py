"""The endpoint picker's configuration where the spec only refers to it: the text of a ConfigMap (PRESET-7).

It is looked for in the service's namespace; names that begin with `config-scheduler-` are shared by all services and
are looked for in the system namespace, too.
"""

from typing import Any, Final

from aioctl.api.kinds import CONFIG_MAP
from aioctl.api.objects import Object, dig, mapping, text
from aioctl.plan import epp_config
from aioctl.plan.model import PlanError
from aioctl.plan.observation import Observation, need

SHARED: Final = "config-scheduler-"
DEFAULT_KEY: Final = "epp"
_CONFIG: Final = ("router", "scheduler", "config")


def resolved(obs: Observation, spec: dict[str, Any], namespace: str, system_namespace: str) -> dict[str, Any]:
    """The combined spec with the text in the place of the reference.

    Raises PlanError where ConfigMap or key are not there or the text is no YAML, Unanswered where that is not known.
    """
    ref = mapping(spec, *_CONFIG, "ref")
    if not ref:
        return spec
    name, key = text(ref, "name"), text(ref, "key") or DEFAULT_KEY
    place, config_map = _found(obs, name, namespace, system_namespace)
    data = mapping(config_map, "data")
    if key not in data:
        raise PlanError(f'ConfigMap {place}/{name} doesn\'t have key "{key}" in data')
    given = text(data, key)
    if problem := epp_config.yaml_problem(given):
        raise PlanError(f'ConfigMap {place}/{name}, key "{key}": neither JSON nor YAML: {problem}')
    config = {field: value for field, value in dig(spec, *_CONFIG).items() if field != "ref"}
    router = spec["router"]
    scheduler = {**router["scheduler"], "config": {**config, "inline": given}}
    return {**spec, "router": {**router, "scheduler": scheduler}}


def _found(obs: Observation, name: str, namespace: str, system_namespace: str) -> tuple[str, Object]:
    """The namespace of the ConfigMap, and the ConfigMap."""
    places = [namespace, system_namespace] if name.startswith(SHARED) else [namespace]
    for place in dict.fromkeys(places):
        found = need(obs.get(CONFIG_MAP, place, name, named_by_user=True))
        if found is not None:
            return place, found
    missing = f'configmaps "{name}" not found'
    if len(places) > 1:
        raise PlanError(
            f'failed to get scheduler config "{name}" from namespaces ["{namespace}", "{system_namespace}"]: '
            f"failed to get v1.ConfigMap {system_namespace}/{name} from API Server: {missing}"
        )
    raise PlanError(f"failed to get ConfigMap {namespace}/{name}: not found")
