"""What excludes one another in a pod: handlers of a probe or hook, sources of a volume or of a variable (MERGE-5).

A strategic merge keeps what the base had beside what the override says, so that a preset's `httpGet` and a service's `exec`
would stand in one probe, which no API server takes. Of two such specs the later one's holds whole: its probe, not a mixture.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from aioctl.api.objects import dig, replaced
from aioctl.plan.merge import POD_SPECS
from aioctl.plan.model import PlanError
from aioctl.plan.provenance import Contribution

Tree = Mapping[str, Any]
_HANDLERS: Final = frozenset({"exec", "grpc", "httpGet", "sleep", "tcpSocket"})
_ORIGINS: Final = frozenset({"configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"})
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")


def settled(spec: Tree, sources: Sequence[Contribution]) -> Tree:
    """The merged spec with one of each; itself where nothing excludes anything. `sources`: weakest first.

    Raises PlanError where one source alone says two.
    """
    for path in POD_SPECS:
        pod = dig(spec, *path)
        if isinstance(pod, Mapping):
            given = [(source.title, dig(source.spec, *path)) for source in reversed(sources)]
            right = _Pod(".".join(("spec", *path)), given).settled(pod)
            if right is not pod:
                spec = replaced(spec, path, right)
    return spec


class _Pod:
    """One pod spec, and what each source says of it, strongest first."""

    def __init__(self, path: str, given: Sequence[tuple[str, Any]]) -> None:
        self._path = path
        self._given = given

    def settled(self, pod: Tree) -> Tree:
        pod = self._each(pod, ("volumes",), (), self._volume)
        for field in ("containers", "initContainers"):
            pod = self._each(pod, (field,), (), self._container)
        return pod

    def _each(
        self,
        tree: Tree,
        at: tuple[str, ...],
        above: tuple[str, ...],
        do: Callable[[Tree, tuple[str, ...]], Tree],
    ) -> Tree:
        """The tree with each named entry of one of its lists as `do` makes it; places are paths of fields and names."""
        entries = dig(tree, *at)
        if not isinstance(entries, (list, tuple)):
            return tree
        right = [
            do(entry, (*above, *at, str(entry.get("name")))) if isinstance(entry, Mapping) else entry
            for entry in entries
        ]
        same = all(new is old for new, old in zip(right, entries, strict=True))
        return tree if same else replaced(tree, at, right)

    def _volume(self, volume: Tree, place: tuple[str, ...]) -> Tree:
        return self._one(volume, place, volume.keys() - {"name"}, "sources")

    def _container(self, container: Tree, place: tuple[str, ...]) -> Tree:
        for at in (*((probe,) for probe in _PROBES), *(("lifecycle", hook) for hook in _HOOKS)):
            found = dig(container, *at)
            if isinstance(found, Mapping):
                right = self._one(found, (*place, *at), found.keys() & _HANDLERS, "handlers")
                container = container if right is found else replaced(container, at, right)
        return self._each(container, ("env",), place, self._variable)

    def _variable(self, variable: Tree, place: tuple[str, ...]) -> Tree:
        said = {key for key in ("value", "valueFrom") if variable.get(key)}
        variable = self._one(variable, place, said, "values")
        found = variable.get("valueFrom")
        if isinstance(found, Mapping):
            right = self._one(found, (*place, "valueFrom"), found.keys() & _ORIGINS, "sources")
            variable = variable if right is found else {**variable, "valueFrom": right}
        return variable

    def _one(
        self, merged: Tree, place: tuple[str, ...], said: "set[str] | frozenset[str]", what: str
    ) -> Tree:
        """What stands where `merged` says more than one of a kind: that of the strongest source which says another one than
        stood there, with what stronger ones say of the same laid over it."""
        if len(said) < 2:
            return merged
        standing: Tree = {}
        held: frozenset[str] = frozenset()
        title = ""
        for source, pod in reversed(self._given):
            found = _found(pod, place)
            if not isinstance(found, Mapping):
                continue
            own = frozenset(said & found.keys())
            standing = found if own - held or (own and held - own) else _laid_over(standing, found)
            if own:
                held, title = own, source
        if len(held) > 1:
            both = " and ".join(sorted(held))
            raise PlanError(
                f"{self._shown(place)} has {len(held)} {what}: {both} of {title}; leave one of them"
            )
        return dict(standing)

    def _shown(self, place: tuple[str, ...]) -> str:
        return ".".join((self._path, *place))


def _laid_over(base: Tree, more: Tree) -> dict[str, Any]:
    """Objects field by field; lists and the rest whole, as what alternates has no lists that merge."""
    both = {**base, **more}
    for name in base.keys() & more.keys():
        if isinstance(base[name], Mapping) and isinstance(more[name], Mapping):
            both[name] = _laid_over(base[name], more[name])
    return both


def _found(tree: Any, place: tuple[str, ...]) -> Any:
    """What stands at a place; names of entries follow the fields of their lists."""
    for part in place:
        if isinstance(tree, (list, tuple)):
            named: Iterator[Any] = (
                entry for entry in tree if isinstance(entry, Mapping) and entry.get("name") == part
            )
            tree = next(named, None)
        else:
            tree = dig(tree, part)
    return tree
