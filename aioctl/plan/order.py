"""One reconcile, decided: the order of the parts (WORK-1, ROUTE-5, LIFE-1) and nothing else.

Each part is a module of its own; here they are asked in order, and the first that fails or cannot answer ends the
plan, as its successors may depend on it. Nothing is read or written here beyond what the builders ask of `obs`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.defaulting import is_stopped
from aioctl.api.finalizers import has_finalizer
from aioctl.api.objects import FieldError, Object, dig, is_deleting, namespace_of
from aioctl.api.records import changed
from aioctl.plan import (
    addresses,
    auth,
    ca_bundle,
    destination_rules,
    dry_run,
    finalize,
    lasting,
    monitoring,
    pool_status,
    pools,
    probe,
    references,
    route,
    scheduler,
    stop,
    tokenizer,
    workload,
)
from aioctl.plan.combine import Combined, combine
from aioctl.plan.config import parse_config
from aioctl.plan.config_lookup import ConfigNotFound
from aioctl.plan.facts import Told
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.left_overs import left_overs
from aioctl.plan.memo import Remembering, is_settled, kept, kept_step, shared
from aioctl.plan.mending import mend
from aioctl.plan.migration_facts import Decided, migration_of
from aioctl.plan.model import NETWORKING, Context, Part, Plan, PlanError, Step, Write, step
from aioctl.plan.observation import Observation, Unanswered, need, version_of
from aioctl.plan.policy import Policy
from aioctl.plan.remembered import Basis, Ground
from aioctl.plan.workload import artifacts, pod_form, scaling
from aioctl.plan.workload.forms import Forms


def plan(obs: Observation, service: Object, policy: Policy, now: datetime) -> Plan:
    """The writes this service needs, in order, given what is known. Deciding twice on the same facts gives the same.

    Where `obs` is a `Remembering`, only those parts are decided whose reads changed since it was planned last.
    """
    if not isinstance(obs, Remembering):
        obs = Told(obs)
    if is_deleting(service):
        present = has_finalizer(service, names.FINALIZER)
        return Plan(service, finalize.finalize(obs, service, policy) if present else ())
    if mending := mend(service):
        # Planned again with the answer: until then nothing could be written to the service.
        return Plan(service, (Step(Part.FINALIZER, writes=(mending,)),))
    steps: list[Step] = []
    first = finalize.add_finalizer(service)
    if first is not None:
        steps.append(Step(Part.FINALIZER, writes=(first,)))
    if is_stopped(service):
        return _stopped(obs, service, policy, now, steps)
    try:
        configured = _begun(obs, service, policy)
    except Unanswered as unanswered:
        steps.append(Step(Part.CONFIG, unanswered=str(unanswered)))
        return Plan(service, tuple(steps))
    steps += configured.steps
    if configured.ready is None:
        if steps[-1].part in (Part.CONFIG, Part.COMBINE):
            removal = left_overs(obs, service, policy, now, picker=lambda ctx: _scheduler(ctx, Forms()))
            steps[-1:] = [removal, steps[-1]] if removal else steps[-1:]
        # A configuration that cannot be read says nothing of what is applied.
        applied = () if steps[-1].part is Part.COMBINE else None
        return Plan(service, tuple(steps), applied=applied, image_volume=configured.image_volume(service))
    config, combined = configured.ready
    if configured.refused is not None:
        steps.append(configured.refused)
        image_volume = configured.image_volume(service)
        return Plan(service, tuple(steps), applied=combined.applied, image_volume=image_volume)
    seen, spec = lasting.part(combined.service), combined.spec
    if isinstance(obs, Remembering) and obs.keeps:
        # Of what changes alone, parts see what they ask for (`memo.count`, `memo.told`).
        seen, spec = lasting.uncounted(combined.service), lasting.without_counts(spec)
    ctx = Context(obs, seen, spec, config, policy, now)
    collect(ctx, steps)
    return Plan(service, tuple(steps), ctx, applied=combined.applied)


@dataclass(frozen=True, slots=True)
class _Configured:
    """What all parts are planned from, and the steps that it took."""

    steps: tuple[Step, ...]
    config: GlobalConfig | None
    combined: Combined | None
    """None, and `config` too where that cannot be read, where the last step says what is wrong."""
    refused: Step | None
    """Says why the combined spec is not used."""

    @property
    def ready(self) -> tuple[GlobalConfig, Combined] | None:
        if self.config is None or self.combined is None:
            return None
        return self.config, self.combined

    def image_volume(self, service: Object) -> bool | None:
        """Whether the model would come as an image volume; None: not known."""
        if self.config is None:
            return None
        spec = self.combined.spec if self.combined is not None else dig(service, "spec")
        return artifacts.native_wanted(self.config, spec)

    def ground(self, policy: Policy) -> Ground | None:
        """What the parts may look at of this; None where it may not be kept."""
        if self.ready is None or self.ready[1].passes or self.refused is not None:
            return None
        if not is_settled(*self.steps):
            return None
        config, combined = self.ready
        seen = lasting.digest_of(lasting.uncounted(combined.service), lasting.without_counts(combined.spec))
        return Ground((seen, hash(config), policy), lasting.counts(combined.spec))

    def renumbered(self, service: Object) -> "_Configured | None":
        """The same for a version of the service in which only numbers differ; None where it has to be made again."""
        combined = self.combined
        if self.config is None or combined is None or combined.numbered:
            return None
        return replace(self, combined=combined.renumbered(service))


def _begun(obs: Observation, service: Object, policy: Policy) -> _Configured:
    """What comes before the parts, from the memo where nothing of it changed."""

    def configure() -> _Configured:
        steps: list[Step] = []
        config, combined = _configure(obs, service, policy, steps)
        refused = dry_run.problem(obs, combined) if combined is not None else None
        return _Configured(tuple(steps), config, combined, refused)

    if not isinstance(obs, Remembering):
        return configure()
    begun: _Configured = obs.begin(
        (version_of(service), policy),
        lambda: Basis(
            (lasting.unnumbered_digest(service), policy),
            tuple(lasting.numbers(service).items()),
            {pod_form.SETTLED: pod_form.settled_by_another(service)},
        ),
        configure,
        lambda found: found.ground(policy),
        lambda found: found.renumbered(service),
    )
    return begun


def _stopped(obs: Observation, service: Object, policy: Policy, now: datetime, steps: list[Step]) -> Plan:
    """Takes everything of the service away by name; whether its spec can be combined matters to one condition only."""
    combined = stop.combined(obs, service, policy)
    ctx = stop.context(obs, service, policy, now, oci_model_mode=combined.oci_model_mode)
    collect(ctx, steps)
    if combined.problem is None:
        steps.append(Step(Part.EVALUATION, unanswered="it is not known whether the spec can be combined"))
    return Plan(service, tuple(steps), ctx, combined.problem, combined.applied)


def collect(ctx: Context, steps: list[Step]) -> None:
    """Adds the parts in order, up to the first that failed or could not be answered.

    Autoscalers need the workloads, and nothing needs them: what keeps them from being made ends nothing else.
    """
    for part in chain(workload.steps(ctx), _scaling_parts(ctx), _router_parts(ctx)):
        steps.append(part)
        if (part.error or part.unanswered) and not part.aside:
            return


def _scaling_parts(ctx: Context) -> Iterator[Step]:
    yield from kept(ctx, "scaling", lambda: tuple(scaling.steps(ctx)), lambda found: is_settled(*found))


def _configure(
    obs: Observation, service: Object, policy: Policy, steps: list[Step]
) -> tuple[GlobalConfig | None, Combined | None]:
    """Global configuration and combined spec; None for what there is not, after adding the step that says why."""
    config_map = need(obs.get(kinds.CONFIG_MAP, policy.system_namespace, names.CONFIG_MAP_NAME))
    bundle = step(Part.CA_BUNDLE, lambda: ca_bundle.ca_bundle(obs, namespace_of(service), config_map))
    steps.append(bundle)
    if bundle.error or bundle.unanswered:
        return None, None
    try:
        config = parse_config(config_map, policy.system_namespace)
    except (PlanError, FieldError) as error:
        steps.append(Step(Part.CONFIG, outer="failed to load ingress config: ", error=str(error)))
        return None, None
    try:
        return config, combine(obs, service, config, policy)
    except ConfigNotFound as error:
        condition = (c.PRESETS_COMBINED, "ConfigNotFound", str(error))
        steps.append(
            Step(Part.COMBINE, outer="terminal error: ", error=str(error), condition=condition, terminal=True)
        )
        return config, None
    except (PlanError, FieldError) as error:
        steps.append(Step(Part.COMBINE, outer="failed to combine base-configurations: ", error=str(error)))
        return config, None


def _router_parts(ctx: Context) -> Iterator[Step]:
    decided = shared(ctx, "migration of the plan", lambda: migration_of(ctx))
    precondition = kept(ctx, "auth", lambda: auth.precondition(ctx), is_settled)
    if precondition is not None:
        yield precondition
    met = precondition is None or precondition.condition is None
    if met:
        yield from _routing_parts(ctx, decided)
    yield _kept_part(
        ctx,
        Part.MONITORING,
        lambda: monitoring.monitoring(ctx),
        outer="failed to reconcile monitoring resources: ",
    )
    undiscoverable = kept(ctx, "addresses", lambda: addresses.check(ctx), is_settled) if met else None
    if undiscoverable is not None:
        yield undiscoverable


def _routing_parts(ctx: Context, decided: Decided) -> Iterator[Step]:
    yield kept_step(ctx, "references", lambda: references.validate(ctx))
    yield kept_step(ctx, Part.SCHEDULER.value, lambda: _scheduler_step(ctx))
    yield _kept_part(
        ctx,
        Part.ROUTES,
        lambda: (*route.route(ctx, decided), *probe.probe(ctx, decided)),
        outer=NETWORKING + "failed to reconcile HTTP routes: ",
    )
    yield _kept_part(
        ctx,
        Part.DESTINATION_RULES,
        lambda: destination_rules.destination_rules(ctx, decided),
        outer=NETWORKING + "failed to reconcile router platform networking: ",
    )
    unread = kept(ctx, "pool status", lambda: pool_status.check(ctx), is_settled)
    if unread is not None:
        yield unread


def _kept_part(ctx: Context, part: Part, build: Callable[[], Iterable[Write]], *, outer: str) -> Step:
    return kept_step(ctx, part.value, lambda: step(part, build, outer=outer))


def _scheduler_step(ctx: Context) -> Step:
    forms = Forms()
    outer = NETWORKING + "failed to reconcile scheduler: "
    made = step(Part.SCHEDULER, lambda: _scheduler(ctx, forms), outer=outer)
    return changed(made, held=forms.take())


def _scheduler(ctx: Context, forms: Forms) -> Iterator[Write]:
    """The order of EPP-1: access, model, tokenizer, deployment, service, pools."""
    pools.check(ctx)
    yield from scheduler.access(ctx)
    yield from pools.model(ctx)
    yield from tokenizer.tokenizer(ctx, forms)
    yield from scheduler.deployment(ctx)
    yield from scheduler.service(ctx)
    yield from pools.pools(ctx)
    problem = scheduler.account_problem(ctx)
    if problem:
        raise PlanError(problem, revisit=scheduler.ACCOUNT_REVISIT)
