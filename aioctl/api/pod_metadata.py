"""Labels and annotations that a spec gives to pods, and which of them no pod can have (WORK-8)."""

from collections.abc import Iterator, Mapping
from typing import Final

from aioctl.api import user_names
from aioctl.api.objects import Object, dig

_OWNERS: Final = (("spec",), ("spec", "prefill"), ("spec", "router", "scheduler"))


def problems(service: Object) -> Iterator[str]:
    """Each with its field, of a service as it is written or with its combined spec. A template is what it renders to; what
    has another shape than the schema's is left out."""
    for at in _OWNERS:
        path = ".".join(at)
        for key, value in _mapping(service, *at, "labels").items():
            for text, judge in ((key, user_names.key_problem), (value, user_names.label_problem)):
                if isinstance(text, str) and "{{" not in text and (problem := judge(text)):
                    yield f"{path}.labels[{key}]: {problem}"
        for key in _mapping(service, *at, "annotations"):
            if "{{" not in key and (problem := user_names.key_problem(key.lower())):
                yield f"{path}.annotations[{key}]: {problem}"


def _mapping(service: Object, *path: str) -> Mapping[str, object]:
    found = dig(service, *path)
    return found if isinstance(found, Mapping) else {}
