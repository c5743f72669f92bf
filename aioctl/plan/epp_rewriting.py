"""The endpoint picker's pod made to fit the version of its image: flags, plugins and side container (EPP-6).

A release of the picker refuses what an older one wanted, so the pod is rewritten on every reconcile by the version that
its annotation names. Without a version nothing is, but for what the older tokenizer container needs.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from aioctl.api.objects import sequence, text
from aioctl.caching import MIB, keeping
from aioctl.golang import gobool, gosemver
from aioctl.plan import epp_config, epp_rules
from aioctl.plan.epp_config import NotAnObject, Rule
from aioctl.plan.model import PlanError
from aioctl.plan.scheduler_config import TEXT_FLAGS

VERSION: Final = "app.kubernetes.io/version"
"""The pod annotation that names the version of the picker's image."""
SIDE_TOKENIZER: Final = "tokenizer"

_EXTRACTED: Final[Mapping[str, str]] = {
    "total-queued-requests-metric": "queuedRequestsSpec",
    "total-running-requests-metric": "runningRequestsSpec",
    "kv-cache-usage-percentage-metric": "kvUsageSpec",
    "lora-info-metric": "loraSpec",
    "cache-info-metric": "cacheInfoSpec",
}
_SCRAPE: Final = "model-server-metrics-"
_SKIP_VERIFY: Final = f"{_SCRAPE}https-insecure-skip-verify"
_PORT: Final = f"{_SCRAPE}port"
_SCRAPED: Final[Mapping[str, str]] = {
    f"{_SCRAPE}scheme": "scheme",
    f"{_SCRAPE}path": "path",
    _SKIP_VERIFY: "insecureSkipVerify",
    _PORT: "",
}
"""The metrics-data-source's parameter of each flag; the port is that of the pool."""
_TWO_PARTS: Final = re.compile(r"\d+\.\d+(?![\d.])", re.ASCII)

Version = tuple[int, int, int, bool]
"""Major, minor, patch, and whether it is a release rather than a candidate for one."""


@dataclass(frozen=True, slots=True)
class Picker:
    """Whose pod it is: `where` is namespace/name of its Deployment; `tokenizer` the address of its tokenizer, empty without."""

    where: str
    version: str
    tokenizer: str


def rewrite(pod: dict[str, Any], picker: Picker) -> None:
    """Changes the pod spec. Raises PlanError for flags that have nowhere to go, and for a version that is none."""
    main = _container(pod, "main")
    if main is not None and _container(pod, SIDE_TOKENIZER) is not None:
        try:
            _rewrite_texts(main, ("side",), picker)
        except PlanError as error:
            raise PlanError(f"failed to mutate scheduler config: {error}") from error
    try:
        version = parse_version(picker.version)
        if version >= (0, 7, 0, True):
            _rewrite_for(version, pod, main, picker)
    except PlanError as error:
        raise PlanError(f"failed to apply scheduler migrations: {error}") from error


def parse_version(raw: str) -> Version:
    """The version; a leading `v` and two parts are fine, and none at all is 0.0.0. Raises PlanError."""
    numbers = (raw or "0.0.0").removeprefix("v")
    if _TWO_PARTS.match(numbers):
        numbers = _TWO_PARTS.sub(r"\g<0>.0", numbers)
    try:
        major, minor, patch, candidate = gosemver.parse(numbers)
    except ValueError as error:
        raise PlanError(f'failed to parse version "{gosemver.shown(raw)}": {error}') from error
    return major, minor, patch, not candidate


def version_of(annotations: Mapping[str, Any], pod: Mapping[str, Any]) -> Version | None:
    """The picker's version, by its annotation, else by its image's tag; None where neither tells."""
    with suppress(PlanError):
        if raw := text(annotations, VERSION):
            return parse_version(raw)
    main = _container(pod, "main")
    return image_version(text(main, "image")) if main is not None else None


def image_version(image: str) -> Version | None:
    """The version that an image's tag names; None where it names none."""
    tag = image.partition("@")[0].rpartition(":")[2]
    with suppress(PlanError):
        if tag:
            return parse_version(tag)
    return None


def _rewrite_for(version: Version, pod: dict[str, Any], main: dict[str, Any] | None, picker: Picker) -> None:
    texts = list(_texts(main))
    metrics = _metric_flags(pod, has_text=bool(texts), where=picker.where)
    source = (
        _scrape_flags(pod, has_text=bool(texts), where=picker.where) if version >= (0, 10, 0, True) else ()
    )
    if metrics or source:
        _demand_readable(texts, picker)
    if main is not None:
        _rewrite_texts(main, ("versions", version, metrics, source, picker.tokenizer), picker)
    if version >= (0, 9, 0, True) and any(_needs_no_side_tokenizer(raw) for raw in texts):
        side = _container(pod, SIDE_TOKENIZER)
        pod["containers"] = [each for each in sequence(pod, "containers") if each is not side]


def _demand_readable(texts: Iterable[str], picker: Picker) -> None:
    """Raises PlanError for a text that is too long to look into: what flags said would be lost, and nobody told."""
    if longest := max((len(raw) for raw in texts if len(raw) > epp_config.LONGEST), default=0):
        raise PlanError(
            f"scheduler deployment {picker.where} uses deprecated metric flags beside a configuration of {longest:,} characters; "
            f"at most {epp_config.LONGEST:,} are read — shorten it, or write into it what the flags say and remove them"
        )


@keeping(MIB)
def _needs_no_side_tokenizer(raw: str) -> bool:
    """Whether the text lists plugins, and none that tokenizes; reading it takes 8 % of a plan."""
    config = epp_config.read(raw)
    return (
        config is not None
        and epp_config.lists_plugins(config)
        and next(epp_config.plugins(config, epp_rules.PRECISE_SCORER), None) is None
    )


def _rewrite_texts(main: dict[str, Any], steps: tuple[Any, ...], picker: Picker) -> None:
    args = list(sequence(main, "args"))
    for at in range(len(args) - 1):
        if args[at] in TEXT_FLAGS and isinstance(args[at + 1], str):
            try:
                args[at + 1] = _rewritten(args[at + 1], *steps)
            except NotAnObject as error:
                raise PlanError(
                    f"failed to mutate config for scheduler deployment {picker.where}: {error}"
                ) from error
    if args:
        main["args"] = args


@keeping(MIB)
def _rewritten(raw: str, *steps: Any) -> str:
    """The text after all rules; itself where it cannot be read. Raises NotAnObject."""
    config = epp_config.read(raw)
    if config is None:
        return raw
    for rule in _side_rules() if steps == ("side",) else _version_rules(*steps[1:]):
        rule(config)
    return epp_config.write(config)


def _side_rules() -> Iterable[Rule]:
    return epp_rules.use_socket_tokenizer, epp_rules.copy_token_processor, epp_rules.copy_block_size


def _version_rules(
    version: Version,
    metrics: tuple[tuple[str, str], ...],
    source: tuple[tuple[str, Any], ...],
    tokenizer: str,
) -> Iterator[Rule]:
    """In the order in which KServe applies them: what a rule adds under an old name, a later one renames."""
    yield epp_rules.renamed("prefill-header-handler", "disagg-headers-handler")
    yield epp_rules.renamed("pd-profile-handler", "disagg-profile-handler")
    yield epp_rules.use_deciders
    yield epp_rules.drop_hash_block_size
    if metrics:
        yield epp_rules.with_metrics_extractor(dict(metrics))
    if version >= (0, 8, 0, True):
        yield epp_rules.rename_metrics_extractor
    if version >= (0, 9, 0, True):
        yield epp_rules.drop_scorer_parameters
        yield epp_rules.use_own_group
        if tokenizer:
            yield epp_rules.with_tokenizer(tokenizer)
    if source:
        yield epp_rules.with_data_source(dict(source))


def _metric_flags(pod: Mapping[str, Any], *, has_text: bool, where: str) -> tuple[tuple[str, str], ...]:
    """Takes the metric flags out of all containers' args; of several containers with some the last one's count."""
    found: dict[str, str] = {}
    for container in sequence(pod, "containers"):
        flags = _take(container, ("args",), _EXTRACTED.__contains__)
        found = flags or found
    if found and not has_text:
        raise PlanError(
            f"scheduler deployment {where} uses deprecated metric flags but has no inline --config-text; automatic "
            "migration to core-metrics-extractor plugin is not possible — convert to --config-text or remove the "
            "deprecated flags manually"
        )
    return tuple((_EXTRACTED[flag], value) for flag, value in sorted(found.items()))


def _scrape_flags(pod: Mapping[str, Any], *, has_text: bool, where: str) -> tuple[tuple[str, Any], ...]:
    """Takes the scrape flags out of the command and args of all containers."""
    found: dict[str, str] = {}
    for container in sequence(pod, "containers"):
        found.update(_take(container, ("command", "args"), _SCRAPED.__contains__))
    found.pop(_PORT, None)
    if found and not has_text:
        flags = ", ".join(f"--{flag}" for flag in sorted(found))
        raise PlanError(
            f"scheduler deployment {where} sets deprecated {flags} but has no inline --config-text; automatic "
            "migration to the metrics-data-source plugin is not possible — convert to --config-text or remove the "
            "flags manually"
        )
    values = (
        (_SCRAPED[flag], _boolean(value) if flag == _SKIP_VERIFY else value)
        for flag, value in sorted(found.items())
    )
    return tuple((field, value) for field, value in values if value != "")


def _boolean(raw: str) -> bool:
    if not raw:
        return True
    found = gobool.parse(raw)
    if found is not None:
        return found
    shown = raw if len(raw) <= 100 else f"{raw[:100]}..."
    raise PlanError(
        f'invalid value "{shown}" for --{_SKIP_VERIFY}: strconv.ParseBool: parsing "{shown}": invalid syntax'
    )


def _take(container: Any, fields: Iterable[str], wanted: Callable[[str], bool]) -> dict[str, str]:
    """Takes flags out of the container's lists and returns their values, as `--flag=value` or `--flag value`."""
    found: dict[str, str] = {}
    for field in fields:
        args = sequence(container, field)
        kept: list[Any] = []
        at = 0
        while at < len(args):
            flag, _, value = str(args[at]).lstrip("-").partition("=")
            following = args[at + 1] if at + 1 < len(args) else "-"
            if not wanted(flag):
                kept.append(args[at])
            else:
                if not value and not str(following).startswith("-"):
                    value = str(following)
                    at += 1
                found[flag] = value
            at += 1
        if len(kept) < len(args):
            container[field] = kept
            if not kept:
                del container[field]
    return found


def _texts(main: Mapping[str, Any] | None) -> Iterator[str]:
    args = sequence(main, "args") if main is not None else ()
    for flag, value in pairwise(args):
        if flag in TEXT_FLAGS:
            yield str(value)


def _container(pod: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return next((each for each in sequence(pod, "containers") if text(each, "name") == name), None)
