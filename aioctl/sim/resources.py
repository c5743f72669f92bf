"""What the simulated server knows about a resource type: addressing, versions, subresources, preparation.

Pure data and small functions over it. The tables that fill it in are `facts` (kinds of others and ours) and `crds` (kinds
that a client installs); `api` serves whatever is registered at the moment.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aioctl.sim.errors import Cause
from aioctl.sim.schema import SKIPS_RULES, UNCHECKED_RULES, Schema, prune

Object = dict[str, Any]
Prepare = Callable[[Object, Object | None], None]
Rule = Callable[[Mapping[str, Any], Mapping[str, Any] | None], "list[Cause]"]


_OF_EVERY_OBJECT: Final = frozenset({"apiVersion", "kind", "metadata"})


class GroupVersion(NamedTuple):
    """A group and one of its versions; the core group is empty."""

    group: str
    version: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def parse(cls, api_version: str) -> "GroupVersion":
        group, _, version = api_version.rpartition("/")
        return cls(group, version)


def _as_it_is(obj: Object) -> Object:
    return obj


@dataclass(frozen=True, slots=True)
class Version:
    """One served version of a resource.

    `schema` gives defaults and required fields; `rules` stand for the CEL rules our clients can meet; `from_storage` and
    `to_storage` translate where no webhook does (None of them ever waits).
    """

    at: GroupVersion
    schema: Schema | None = None
    rules: tuple[Rule, ...] = ()
    columns: tuple[tuple[str, str, str], ...] = ()
    """Printer columns: name, type, dotted path."""
    from_storage: Callable[[Object], Object] = _as_it_is
    to_storage: Callable[[Object], Object] = _as_it_is
    full: Mapping[str, Any] | None = None
    """The schema in full, where it is known: fields that it lacks are dropped."""

    def pruned(self, obj: Object) -> list[str]:
        """Drops, in place, what the schema in full does not know; returns the API server's warnings of it."""
        if self.full is None:
            return []
        body = {name: value for name, value in obj.items() if name not in _OF_EVERY_OBJECT}
        gone = prune(self.full, body)
        for name in obj.keys() - body.keys() - _OF_EVERY_OBJECT:
            del obj[name]
        return [f'unknown field "{path}"' for path in gone]

    def findings(self, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[Cause]:
        """Schema and rule findings, with the API server's note when errors kept the rules from running."""
        found = every = list(self.schema.validate(new)) if self.schema else []
        if self.schema and every and old is not None:
            # A read of the real server fills in defaults, so what is stored without them counts as having them.
            before = copy.deepcopy(dict(old))
            self.schema.apply_defaults(before)
            found = list(self.schema.validate(new, old=before))
        if any(cause.reason in SKIPS_RULES for cause in every):
            noted = found and (self.rules or (self.schema and self.schema.has_rules))
            return [*found, UNCHECKED_RULES] if noted else found
        return found + [cause for rule in self.rules for cause in rule(new, old)]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type. `versions[0]` is the preferred one; `stored` is the one objects are kept in."""

    group: str
    plural: str
    kind: str
    versions: tuple[Version, ...]
    stored: GroupVersion
    namespaced: bool = True
    status: bool = False
    """Has a status subresource; its field is then ignored in ordinary writes."""
    generation: bool = True
    """Counts changes of everything but metadata and status in metadata.generation."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    custom: bool = False
    """Defined by a CustomResourceDefinition."""
    webhook: bool = False
    """Versions are translated by the conversion webhook of its CRD."""
    prepare: Prepare | None = None
    cautions: Callable[[Mapping[str, Any]], list[str]] | None = None
    """Warnings of an object that is taken all the same."""
    unconditional_update: bool = False
    """A PUT without resourceVersion is taken."""
    selectable: frozenset[str] = frozenset()
    """Field selectors beside metadata.name and metadata.namespace."""
    dns_label: bool = False
    """Names are DNS-1035 labels instead of subdomains."""

    @property
    def title(self) -> str:
        """`<plural>[.<group>]`, the spelling of error texts and CRD names."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        return self.kind.lower()

    def version(self, at: GroupVersion) -> Version | None:
        return next((version for version in self.versions if version.at == at), None)
