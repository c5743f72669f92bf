"""The endpoint picker's arguments: where its configuration comes from, and the pool generation it reads (EPP-3).

The first that there is: the spec's inline text, a flag in the template, the flag that the live picker has, a generated text.
A changed byte rolls the picker, so a live text that means the same as the wanted one stays as it stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Any, Final

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import dig, mapping, present, sequence, text
from aioctl.api.pod_reading import named
from aioctl.caching import MIB, keeping
from aioctl.golang import gojson
from aioctl.plan import epp_config, epp_defaults, epp_rules
from aioctl.plan.epp_defaults import Shape

_POOL_GROUP: Final = ("--pool-group", "-pool-group")


def _spellings(what: str) -> frozenset[str]:
    return frozenset(f"{dashes}config{rest}" for dashes in ("--", "-") for rest in (f"-{what}", what.title()))


TEXT_FLAGS: Final = _spellings("text")
_FLAGS: Final = TEXT_FLAGS | _spellings("file")
"""Every spelling that Go's flag package reads; nothing is added beside one of them."""
_SCHEDULER: Final = ("spec", "router", "scheduler")
_CONFIG: Final = (*_SCHEDULER, "config")
_TEMPLATE: Final = (*_SCHEDULER, "template")
TOKENIZER: Final = "tokenizer"
"""The container of the picker's pod that stands in for a tokenizer of its own."""
_CALLERS: Final = frozenset({epp_rules.TOKEN_PRODUCER, epp_rules.PRECISE_SCORER})
_LEADER: Final = "ha-enable-leader-election"
_TRACING: Final = "tracing"


def inline_text(spec: Mapping[str, Any]) -> str | None:
    """The configuration inside a combined spec, as it is given to the picker; None where there is none.

    A string is the text of a ConfigMap as it stands there; an object comes as the compact JSON that the API server has of it.
    """
    given = dig({"spec": spec}, *_CONFIG, "inline")
    if given is None or isinstance(given, str):
        return given
    return gojson.dump(_sorted(given))


def visible_text(spec: Mapping[str, Any]) -> str:
    """The text that tells what the picker will need (PRESET-1): the inline one, else the first in the args of the template's
    containers, whatever names a file; empty without."""
    given = inline_text(spec)
    if given is not None:
        return given
    containers = sequence(mapping({"spec": spec}, *_TEMPLATE), "containers")
    return next((value for each in containers for value in _texts(sequence(each, "args"))), "")


def _texts(args: Sequence[Any]) -> Iterator[str]:
    """The values of text flags, each as an element of its own or behind the flag's `=`."""
    given = [str(arg) for arg in args]
    for arg, after in zip_longest(given, given[1:]):
        flag, separator, value = arg.partition("=")
        if flag not in TEXT_FLAGS:
            continue
        if separator:
            yield value
        elif after is not None:
            yield after


def needs_tokenizer(spec: Mapping[str, Any]) -> bool:
    """Whether a tokenizer goes with the picker: it is asked for, or the configuration lists a plugin that calls one."""
    if not present({"spec": spec}, *_SCHEDULER):
        return False
    if present({"spec": spec}, *_SCHEDULER, "tokenizer"):
        return True
    return not epp_config.plugin_types(visible_text(spec)).isdisjoint(_CALLERS)


def brings_tokenizer(spec: Mapping[str, Any]) -> bool:
    """Whether the picker's own pod holds the tokenizer and no other is asked for, as with KServe's presets up to v0.20 (TOK-1)."""
    template = mapping({"spec": spec}, *_TEMPLATE)
    return (
        not present({"spec": spec}, *_SCHEDULER, "tokenizer")
        and named(template, "containers", TOKENIZER) is not None
    )


def wanted_shape(spec: Mapping[str, Any]) -> Shape:
    """The generated text that fits the spec."""
    return Shape(
        prefill=present({"spec": spec}, "spec", "prefill"),
        adapters=bool(sequence({"spec": spec}, "spec", "model", "lora", "adapters")),
    )


def config_pair(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first configuration flag in the args of container `main` and its value, as two elements; None without."""
    for flag, value in _pairs(pod):
        if flag in _FLAGS:
            return flag, value
    return None


def generates(pod: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Whether the picker of this pod is given a configuration that is made for it: neither spec nor arguments bring one."""
    main = _main(pod)
    given = sequence(main, "args") if main is not None else ()
    return inline_text(spec) is None and not any(_configures(arg) for arg in given)


def with_config(pod: dict[str, Any], spec: Mapping[str, Any], live: Mapping[str, Any] | None) -> None:
    """Appends the configuration to the args of container `main`, if there is one. Changes the pod spec.

    `live`: the pod spec that the picker runs with, None without. A template's `--config-text=...` counts as a flag too: of
    two configurations the picker reads the last.
    """
    main = _main(pod)
    if main is None:
        return
    args = list(sequence(main, "args"))
    inline = inline_text(spec)
    if inline is not None:
        main["args"] = [*args, "--config-text", inline]
    elif generates(pod, spec):
        kept = config_pair(live) if live is not None else None
        shape = wanted_shape(spec)
        if kept is not None and epp_defaults.outdated(kept[1], shape):
            kept = None
        main["args"] = [*args, *(kept or ("--config-text", epp_defaults.generated(shape)))]


def with_leader_election(pod: dict[str, Any], replicas: int | None) -> None:
    """Several pickers elect one that works. Changes the pod spec; a user's own flag stays."""
    main = _main(pod)
    if main is not None and replicas is not None and replicas > 1 and not _has_flag(main, _LEADER):
        main["args"] = [*sequence(main, "args"), f"--{_LEADER}"]


def with_tracing(pod: dict[str, Any]) -> None:
    """Has the picker trace. Changes the pod spec; a user's own flag in args stays."""
    main = _main(pod)
    if main is not None and not _has_flag(main, _TRACING, fields=("args",)):
        main["args"] = [*sequence(main, "args"), f"--{_TRACING}=true"]


def with_live_texts(pod: dict[str, Any], live: Mapping[str, Any] | None) -> None:
    """Takes over the live bytes of a configuration that means the same, so that no picker restarts. Changes the pod spec."""
    main = _main(pod)
    if main is None or live is None:
        return
    there = [value for flag, value in _pairs(live) if flag in TEXT_FLAGS]
    args = list(sequence(main, "args"))
    found = [at for at, arg in enumerate(args[:-1]) if arg in TEXT_FLAGS]
    if len(found) != len(there):
        return
    for at, value in zip(found, there, strict=True):
        if args[at + 1] != value and same_meaning(str(args[at + 1]), value):
            args[at + 1] = value
    main["args"] = args


def same_meaning(one: str, other: str) -> bool:
    """Whether both texts are the same configuration, however written."""
    meaning = _meaning(one)
    return bool(meaning) and meaning == _meaning(other)


@keeping(MIB)
def _meaning(raw: str) -> str:
    """One text for all that say the same; empty where it cannot be read."""
    config = epp_config.read(raw)
    return "" if config is None else epp_config.write(config)


def _pairs(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    main = _main(pod)
    args = sequence(main, "args") if main is not None else ()
    for flag, value in pairwise(args):
        yield str(flag), str(value)


def _main(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    return next((each for each in sequence(pod, "containers") if text(each, "name") == "main"), None)


def _configures(arg: Any) -> bool:
    return str(arg).partition("=")[0] in _FLAGS


def _has_flag(main: Mapping[str, Any], name: str, *, fields: Sequence[str] = ("command", "args")) -> bool:
    given = (str(arg).partition("=")[0] for field in fields for arg in sequence(main, field))
    return any(arg in (f"-{name}", f"--{name}") for arg in given)


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list | tuple) else value


def with_served_group(pod: dict[str, Any], served: str) -> None:
    """Puts the group that is served in the place of the other generation's in `--pool-group` of container `main`.

    A picker that waits for a kind nobody serves never gets ready. No flag is added: images of llm-d-inference-scheduler
    before 0.3 exit on it, and later ones read the v1 pool without it. Changes the pod spec.
    """
    other = POOL_GROUP_V1 if served == POOL_GROUP_V1ALPHA2 else POOL_GROUP_V1ALPHA2
    main = _main(pod)
    if main is None:
        return
    for field in ("command", "args"):
        if sequence(main, field):
            main[field] = list(_regrouped(sequence(main, field), other, served))


def _regrouped(args: Sequence[Any], other: str, served: str) -> Iterator[Any]:
    before: Any = None
    for arg in args:
        flag, separator, value = arg.partition("=") if isinstance(arg, str) else (arg, "", "")
        if flag in _POOL_GROUP and separator and value == other:
            yield f"{flag}={served}"
        else:
            yield served if before in _POOL_GROUP and arg == other else arg
        before = arg
