"""The text of an EndpointPickerConfig: what it lists, and how it is read and written (EPP-6).

Users give it as they like, so it is read without trust: what Go does not take for an object with a kind is nobody's to
look into, and neither is what is larger than any configuration.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from aioctl.caching import MIB, keeping
from aioctl.golang import goyaml

Tree = dict[str, Any]

LONGEST: Final = 32 * 1024
"""Characters of a text that is looked into. Configurations have 1 to 3 kB; this one takes half a second, once."""


def read(text: str) -> Tree | None:
    """The configuration as an object of its own; None for what Go's unstructured reader refuses: no map, or one without kind."""
    found = _map(text)
    if found is None or not isinstance(found.get("kind"), str) or not found["kind"]:
        return None
    version = found.get("apiVersion")
    return None if isinstance(version, str) and version.count("/") > 1 else found


def _map(text: str) -> Tree | None:
    if len(text) > LONGEST:
        return None
    try:
        found = goyaml.load(text)
    except goyaml.NotYaml:
        return None
    return found if isinstance(found, dict) else None


@keeping(MIB)
def yaml_problem(text: str) -> str:
    """Why the text is neither JSON nor YAML; empty where it is, or where it is not looked into."""
    if len(text) > LONGEST:
        return ""
    try:
        goyaml.load(text)
    except goyaml.NotYaml as error:
        return str(error)
    return ""


def write(config: Tree) -> str:
    """The text as KServe writes it after each rewriting."""
    return goyaml.dump(config)


@keeping(MIB)
def plugin_types(text: str) -> frozenset[str]:
    """The types of the plugins that the text lists; empty where it is no map. Unlike a rewriting this asks for no kind (EPP-6)."""
    config = _map(text)
    return frozenset() if config is None else frozenset(plugin["type"] for plugin in plugins(config, str))


def lists_plugins(config: Tree) -> bool:
    """Whether there is a list of plugins at all, be it empty."""
    return isinstance(config.get("plugins"), list)


def plugins(config: Tree, *types: Any) -> Iterator[Tree]:
    """The plugins that are objects. With types: names of plugin types, or `str` for those that have any."""
    for plugin in entries(config, "plugins"):
        kind = plugin.get("type")
        if not types or (isinstance(kind, str) and (str in types or kind in types)):
            yield plugin


def entries(tree: Tree, field: str) -> list[Tree]:
    """The objects in a list; none where there is no list."""
    found = tree.get(field)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def parameters(plugin: Tree) -> Tree:
    """The plugin's parameters to read or change; an object that belongs to nobody where it has none."""
    found = plugin.get("parameters")
    return found if isinstance(found, dict) else {}


def put(tree: Tree, value: Any, *path: str) -> None:
    """Sets a field, with the objects on the way to it. Raises NotAnObject where something else stands in the way."""
    for depth, field in enumerate(path[:-1], start=1):
        inner = tree.setdefault(field, {})
        if isinstance(inner, dict):
            tree = inner
        else:
            at = ".".join(path[:depth])
            raise NotAnObject(f"value cannot be set because .{at} is not a map[string]interface{{}}")
    tree[path[-1]] = value


class NotAnObject(ValueError):
    """The configuration has something else where a rule needs an object; the text names the field."""


Rule = Callable[[Tree], None]
"""Changes a configuration in place. Raises NotAnObject."""
