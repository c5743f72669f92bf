"""The presets: there, of a known release, rendering, and used by whom; every other config has to render, too."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl import __version__, shipped
from aioctl.api import kinds, names
from aioctl.api.config_use import uses
from aioctl.api.objects import FieldError, Object, dig, is_deleting, key_of, name_of
from aioctl.plan.config import caches_models, parse_config
from aioctl.plan.config_check import check_config
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import PlanError
from aioctl.plan.offline import SETTINGS
from aioctl.tools.checks.finding import Finding, bad, fine, warn
from aioctl.tools.checks.releases import RELEASES
from aioctl.tools.checks.survey import Survey

_DEFAULTS: Final = (
    ("name", ""),
    ("service", ""),
    ("group", ""),
    ("optional", False),
    ("readOnly", False),
    ("protocol", "TCP"),
    ("kind", "Service"),
    ("appProtocol", "http"),
    ("failureMode", "FailClose"),
    ("type", "PathPrefix"),
    ("type", "Exact"),
    ("weight", 1),
)
"""Fields that the API server fills into configs: one that is given with that value says the same as one that is not."""


def presets(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.CONFIG):
        return
    shipped_here = {name_of(preset): preset for preset in shipped.objects(shipped.presets_folder())}
    for name, preset in shipped_here.items():
        where = f"{facts.system_namespace}/{name}"
        stored = facts.named(kinds.CONFIG, name, facts.system_namespace)
        if stored is None:
            yield bad("AIO-PRE-001", f"{where} does not exist")
            continue
        used = _used(facts, stored)
        if same(stored, preset):
            yield fine("PRE", f"{where} is that of this release ({__version__}), {used}")
        elif release := RELEASES.get(digest(stored)):
            yield fine("PRE", f"{where} is that of {release}, {used}")
        else:
            yield warn("AIO-PRE-002", f"{where} is of no release that is known, {used}")
    if kinds.CONFIG_MAP.resource not in facts.unread:
        if problem := unusable(facts.settings_map, facts.system_namespace):
            yield bad("AIO-PRE-004", problem)
        if problem := _untold_caches(facts.settings_map):
            yield warn("AIO-PRE-005", problem)
    yield from rendering(facts, "AIO-PRE-003")


def same(stored: Object, given: Object) -> bool:
    """Whether two configs say the same."""
    return digest(stored) == digest(given)


def digest(config: Object) -> str:
    """Of the spec, without what the API server fills in: the same for what was given and for what is stored."""
    spec = _plain(dig(config, "spec"))
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        made = {name: _plain(item) for name, item in value.items() if (name, item) not in _DEFAULTS}
        return {name: item for name, item in made.items() if item not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _used(facts: Survey, config: Object) -> str:
    """By how many services, by what their last plans were made of."""
    key = key_of(config)
    users = [
        str(key_of(service))
        for service in facts.all(kinds.SERVICE)
        if not is_deleting(service)
        and uses(service, key, system_namespace=facts.system_namespace, well_known=False)
    ]
    if not users:
        return "used by no service"
    return f"used by {users[0]}" + (f" and {len(users) - 1} more" if len(users) > 1 else "")


def rendering(facts: Survey, code: str) -> Iterator[Finding]:
    """Configs whose templates do not render, with functions that there are not among the causes."""
    settings = settings_of(facts.settings_map, facts.system_namespace)
    for config in facts.all(kinds.CONFIG):
        if problem := unrendered(config, settings):
            yield bad(code, f"{kinds.CONFIG.kind} {key_of(config)}: {problem}")


def settings_of(found: Object | None, namespace: str) -> GlobalConfig:
    """What the ConfigMap says; KServe's shipped settings where it cannot be used, which AIO-PRE-004 tells."""
    if found is not None and not unusable(found, namespace):
        return parse_config(found, namespace)
    metadata = {"name": names.CONFIG_MAP_NAME, "namespace": namespace}
    return parse_config({"metadata": metadata, "data": SETTINGS}, namespace)


def unusable(found: Object | None, namespace: str) -> str:
    """Why the ConfigMap cannot be used; empty when it can."""
    try:
        parse_config(found, namespace)
    except (PlanError, FieldError) as error:
        return str(error)
    return ""


def _untold_caches(found: Object | None) -> str:
    """Why it is not known whether models are cached; empty where it is, or where nothing of the ConfigMap is."""
    try:
        if found is not None:
            caches_models(found)
    except (PlanError, FieldError) as error:
        return str(error)
    return ""


def unrendered(config: Object, settings: GlobalConfig) -> str:
    """Why the config does not render for the service that admission tries it with; empty when it does."""
    try:
        check_config(config, settings)
    except (PlanError, FieldError) as error:
        return str(error)
    return ""
