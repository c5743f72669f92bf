"""Whether the pods of a model server, or of a tokenizer, take the form of today or keep the one they have (FORM-1).

A controller never restarts a model server on its own account: not when it takes over from another one, not when it is
itself replaced. What made the live pod template is remembered beside it, in annotations of the Deployment or LeaderWorkerSet:
a digest of what users, presets and administrators gave, and a digest of the template as the API server stored it. While
neither differs, another form can only be the controller's own idea, and it waits for the next rollout that somebody else
asks for, or for `AIOCTL_POD_FORM=current`.

| live object | inputs | live template | form | verdict |
|---|---|---|---|---|
| none | | | | WRITE |
| any | | | the same | KEEP |
| no record, settled by another controller | | | another | ADOPT |
| no record, not settled | | | another | WRITE |
| record | changed | | another | WRITE |
| record | the same | not the recorded one | another | WRITE |
| record | the same | the recorded one | the recorded one, changed by a webhook | KEEP |
| record | the same | the recorded one | another | HOLD |

Where the operator wants the current form, ADOPT and HOLD are ROLL: WRITE, one after another.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b, sha256
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import names
from aioctl.api.encoding import to_json, to_sorted_json
from aioctl.api.objects import Object, annotations_of, dig, generation_of, mapping
from aioctl.caching import MIB, BoundedCache
from aioctl.plan.finished import is_leaving
from aioctl.plan.model import Context
from aioctl.plan.policy import PodForm

WORKLOADS_BEHIND: Final = "aioctl.dev/workloads-behind"
"""In status.annotations: a generation that is observed but that the workloads have not got yet."""

_VERSION: Final = "2:"
"""Of the digests. A record of another version is none, so that a change of what they hold restarts nothing."""
_RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
_SHARED: Final = ("model", "storageInitializer", "tracing")
_OF_A_SIDE: Final = ("template", "worker", "labels", "annotations", "parallelism", "kvCacheOffloading")


_TEMPLATES: Final[BoundedCache[bytes, str]] = BoundedCache(MIB)
_FORETOLD: Final[BoundedCache[Hashable, str]] = BoundedCache(MIB)
"""Digests of templates by their text: a workload is judged several times while it stays as it is."""
_ENTRY: Final = 256
"""Bytes of one of them, about."""


class Verdict(Enum):
    """What becomes of the live pod template."""

    KEEP = "keep"
    HOLD = "hold"
    ADOPT = "adopt"
    WRITE = "write"
    ROLL = "roll"


@dataclass(frozen=True, slots=True)
class Record:
    """What stands beside a template."""

    inputs: str
    template: str
    sent: str = ""

    @property
    def annotations(self) -> dict[str, str]:
        kept = {names.FORM_INPUTS: self.inputs, names.FORM_TEMPLATE: self.template}
        return {**kept, names.FORM_SENT: self.sent} if self.sent else kept


@dataclass(frozen=True, slots=True)
class Standing:
    """One workload and what is wanted of it; texts are digests."""

    inputs: str
    sent: str
    """The template as it would be sent."""
    live: str | None
    """The template that stands, None for no object."""
    record: Record | None
    settled: bool
    """Another controller had done all that the service asks for."""
    current: bool
    """The operator, or the user, wants the current form."""


def decide(at: Standing) -> Verdict:
    """The table above."""
    if at.live is None:
        return Verdict.WRITE
    if at.sent == at.live:
        return Verdict.KEEP
    if at.record is None:
        waits = Verdict.ADOPT if at.settled else Verdict.WRITE
    elif at.record.inputs != at.inputs or at.record.template != at.live:
        waits = Verdict.WRITE
    else:
        waits = Verdict.KEEP if at.record.sent == at.sent else Verdict.HOLD
    return Verdict.ROLL if at.current and waits in (Verdict.ADOPT, Verdict.HOLD) else waits


def recorded(workload: Object) -> Record | None:
    """The record beside a workload; None for none of this version."""
    found = annotations_of(workload)
    inputs, template = found.get(names.FORM_INPUTS, ""), found.get(names.FORM_TEMPLATE, "")
    if not (inputs.startswith(_VERSION) and template.startswith(_VERSION)):
        return None
    return Record(inputs, template, found.get(names.FORM_SENT, ""))


def template_digest(workload: Object) -> str:
    """Of the pod templates of a Deployment or LeaderWorkerSet, as they are stored.

    Empty values do not count, and neither does the moment of a restart that a user asked for: it changes no form.
    """
    groups = mapping(workload, "spec", "leaderWorkerTemplate")
    found = [mapping(groups, "leaderTemplate"), mapping(groups, "workerTemplate")] if groups else []
    templates = found or [mapping(workload, "spec", "template")]
    known = blake2b(to_json(templates), digest_size=16).digest()
    return _TEMPLATES.get(known, lambda: _digest(_filled(templates)), lambda _: _ENTRY)


def _foretold_digest(wanted: Object, sent: Callable[[Object], Object]) -> str:
    """The `template_digest` of what is sent for the pods that are wanted; foretold once for the same pods, as a service is
    planned several times in a row."""
    known = sent, blake2b(to_json(wanted), digest_size=16).digest()
    return _FORETOLD.get(known, lambda: template_digest(sent(wanted)), lambda _: _ENTRY)


def confirmed(body: Object, answer: Object) -> tuple[Object, Object]:
    """The body of an update, and what a dry run answered to it, with a record of the template that will be stored."""
    record = recorded(body)
    if record is None:
        return body, answer
    stored = template_digest(answer)
    if stored == record.template:
        return body, answer
    right = Record(record.inputs, stored, record.sent or record.template)
    return _annotated(body, right), _annotated(answer, right)


SETTLED: Final = "settled by another"
"""The name under which a plan is told of `settled_by_another`."""


def settled_by_another(service: Object) -> bool:
    """Whether whoever wrote the status had given the workloads all of the current generation."""
    status = dig(service, "status")
    if dig(status, "observedGeneration") != generation_of(service):
        return False
    if dig(status, "annotations", WORKLOADS_BEHIND):
        return False
    stored = dig(status, "conditions")
    return not any(
        isinstance(entry, Mapping)
        and entry.get("type") == c.PRESETS_COMBINED
        and entry.get("status") == c.FALSE
        for entry in (stored if isinstance(stored, list) else ())
    )


def wants_current(ctx: Context) -> bool:
    """What the service says, else what the operator says; also while `aioctl finish` takes its processes off v1alpha2."""
    said = annotations_of(ctx.service).get(names.POD_FORM, "")
    known = {form.value for form in PodForm}
    wanted = PodForm(said) if said in known else ctx.policy.pod_form
    return wanted is PodForm.CURRENT or is_leaving(ctx)


def inputs_digest(
    ctx: Context,
    path: tuple[str, ...],
    *,
    role: str,
    copied: Iterable[Mapping[str, str]],
    pool: str,
    oci_mode: str,
    credentials: Any,
) -> str:
    """Of everything that was given for the pods of the side of the spec at `path`: nothing of it is our own idea.

    `copied`: labels and annotations that pods get from the service's own metadata. `pool`: the name that a sidecar is told,
    empty where there is none. `credentials`: what was found of them.
    The administrator's image and amounts for downloads are no reason to restart anything, so they are not in it; whether pods
    speak TLS is in the spec, into which the presets' templates were rendered.
    """
    side = mapping({"spec": ctx.spec}, *path)
    given = {
        "shared": {key: ctx.spec[key] for key in _SHARED if key in ctx.spec},
        "side": {key: side[key] for key in _OF_A_SIDE if key in side},
        "role": role,
        "pool": pool,
        "copied": [dict(part) for part in copied],
        "oci": oci_mode,
        "credentials": _filled(credentials),
    }
    return _digest(given)


@dataclass
class Keeper:
    """Decides for one workload while it is planned, and knows afterwards what was decided."""

    inputs: str
    settled: Callable[[], bool]
    """Asked where nothing is recorded: see `settled_by_another`."""
    current: bool
    verdict: Verdict = Verdict.WRITE
    record: Record | None = field(default=None, init=False)

    def judge(
        self, wanted: Object, *, sent: Callable[[Object], Object], live: Object | None, same: bool
    ) -> bool:
        """Whether the live pod template stays; `deployment.Form`."""
        stored = None if live is None else template_digest(live)
        before = None if live is None else recorded(live)
        foretold = stored if same and stored is not None else _foretold_digest(wanted, sent)
        same = foretold == stored
        settled = stored is not None and not same and before is None and self.settled()
        at = Standing(self.inputs, foretold, stored, before, settled=settled, current=self.current)
        self.verdict = decide(at)
        if stored is None or self.verdict in (Verdict.WRITE, Verdict.ROLL):
            self.record = Record(self.inputs, foretold)
        elif self.verdict is Verdict.ADOPT or same:
            self.record = Record(self.inputs, stored)
        else:
            self.record = before
        return self.verdict in (Verdict.KEEP, Verdict.HOLD, Verdict.ADOPT)

    @property
    def annotations(self) -> dict[str, str]:
        return self.record.annotations if self.record is not None else {}

    @property
    def held(self) -> bool:
        return self.verdict in (Verdict.HOLD, Verdict.ADOPT)

    @property
    def rolls(self) -> bool:
        return self.verdict is Verdict.ROLL


def _annotated(workload: Object, record: Record) -> dict[str, Any]:
    metadata = mapping(workload, "metadata")
    others = {key: value for key, value in annotations_of(workload).items() if key != names.FORM_SENT}
    return {**workload, "metadata": {**metadata, "annotations": {**others, **record.annotations}}}


def _digest(value: Any) -> str:
    return f"{_VERSION}{sha256(to_sorted_json(value)).hexdigest()[:32]}"


def _filled(value: Any) -> Any:
    """Without what is empty, and without the mark of a restart."""
    if isinstance(value, Mapping):
        found = {key: _filled(item) for key, item in value.items() if key != _RESTARTED}
        return {key: item for key, item in found.items() if item not in (None, "", {}, [])}
    if isinstance(value, list | tuple):
        return [_filled(item) for item in value]
    return value
