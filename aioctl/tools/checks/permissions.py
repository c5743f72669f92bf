"""What the controller's account may do, against what the shipped roles give. Pure.

The API server is asked by SubjectAccessReview for the account: a SelfSubjectRulesReview would tell of the caller only. Where
that may not be asked, the account's roles are read.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aioctl import shipped
from aioctl.api import kinds
from aioctl.api.objects import Object, dig, name_of, namespace_of, sequence, text

LABEL: Final = ("app.kubernetes.io/name", "aioctl")


class Permission(NamedTuple):
    """One verb on one resource (`<plural>[/<subresource>]`) or URL. `namespace`, `name` empty: any."""

    group: str
    resource: str
    verb: str
    name: str = ""
    namespace: str = ""
    url: str = ""

    @property
    def where(self) -> str:
        full = f"{self.resource}.{self.group}" if self.group else self.resource
        within = f" in namespace {self.namespace}" if self.namespace else ""
        return self.url or f"{full}{' ' + self.name if self.name else ''}{within}"


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"ServiceAccount {self.namespace}/{self.name}"

    def review(self, permission: Permission) -> dict[str, Any]:
        """The SubjectAccessReview that asks for it."""
        resource, _, subresource = permission.resource.partition("/")
        asked: dict[str, Any] = {
            "resourceAttributes": {
                "group": permission.group,
                "resource": resource,
                "subresource": subresource,
                "verb": permission.verb,
                "name": permission.name,
                "namespace": permission.namespace,
            }
        }
        if permission.url:
            asked = {"nonResourceAttributes": {"path": permission.url, "verb": permission.verb}}
        groups = [
            "system:serviceaccounts",
            f"system:serviceaccounts:{self.namespace}",
            "system:authenticated",
        ]
        user = f"system:serviceaccount:{self.namespace}:{self.name}"
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": groups, **asked},
        }


def controller_of(deployments: Iterable[Object]) -> Object | None:
    """Our Deployment, by its label."""
    label, value = LABEL
    return next((obj for obj in deployments if dig(obj, "metadata", "labels", label) == value), None)


def account_of(deployments: Iterable[Object]) -> Account | None:
    """The account of our Deployment; None where there is none."""
    controller = controller_of(deployments)
    if controller is None:
        return None
    name = str(dig(controller, "spec", "template", "spec", "serviceAccountName") or "default")
    return Account(namespace_of(controller), name)


def permissions(roles: Iterable[Object], namespace: str) -> Iterator[Permission]:
    """Everything that the roles give; a Role gives it in the namespace only."""
    for role in roles:
        within = namespace if text(role, "kind") == kinds.ROLE.kind else ""
        for rule in sequence(role, "rules"):
            for verb in map(str, sequence(rule, "verbs")):
                for url in map(str, sequence(rule, "nonResourceURLs")):
                    yield Permission("", "", verb, url=url)
                for group in map(str, sequence(rule, "apiGroups")):
                    for resource in map(str, sequence(rule, "resources")):
                        for name in map(str, sequence(rule, "resourceNames") or ("",)):
                            yield Permission(group, resource, verb, name, within)


def bound_roles(account: Account, bindings: Iterable[Object]) -> frozenset[str]:
    """Names of the ClusterRoles that ClusterRoleBindings give to the account."""
    whole = ("ServiceAccount", account.namespace, account.name)
    return frozenset(
        text(binding, "roleRef", "name")
        for binding in bindings
        for subject in sequence(binding, "subjects")
        if (text(subject, "kind"), text(subject, "namespace"), text(subject, "name")) == whole
    )


def lacking(roles: Sequence[Object], namespace: str) -> list[Permission]:
    """What the shipped ClusterRole gives and these ClusterRoles do not; what Roles give is not looked at."""
    rules = [rule for role in roles for rule in sequence(role, "rules")]
    wanted = (one for one in permissions(shipped.roles(), namespace) if not one.namespace)
    return sorted(one for one in wanted if not any(_allows(rule, one) for rule in rules))


def _allows(rule: Any, wanted: Permission) -> bool:
    if not _among(wanted.verb, sequence(rule, "verbs")):
        return False
    if wanted.url:
        return _among(wanted.url, sequence(rule, "nonResourceURLs"))
    names = sequence(rule, "resourceNames")
    return (
        (not names or wanted.name in names)
        and _among(wanted.group, sequence(rule, "apiGroups"))
        and _among(wanted.resource, sequence(rule, "resources"))
    )


def _among(one: str, of: Sequence[Any]) -> bool:
    return one in of or "*" in of


def by_object(denied: Iterable[Permission]) -> Mapping[str, list[str]]:
    """The verbs that are missing, by what they are missing on."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for one in denied:
        found[one.where].append(one.verb)
    return found


def with_names(roles: Iterable[Object], names: frozenset[str]) -> list[Object]:
    """Those of the names."""
    return [role for role in roles if name_of(role) in names]
