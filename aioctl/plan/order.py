"""One reconcile, decided: the order of the parts (WORK-1, ROUTE-5, LIFE-1) and nothing else.

Each part is a module of its own; here they are asked in order, and the first that fails or cannot answer ends the
plan, as its successors may depend on it. Nothing is read or written here beyond what the builders ask of `obs`.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cache

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.defaulting import is_stopped
from aioctl.api.finalizers import has_finalizer
from aioctl.api.objects import FieldError, Object, is_deleting, namespace_of
from aioctl.plan import (
    addresses,
    auth,
    ca_bundle,
    destination_rules,
    dry_run,
    finalize,
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
from aioctl.plan.combine import Combined, ConfigNotFound, combine
from aioctl.plan.config import parse_config
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.left_overs import left_overs
from aioctl.plan.mending import mend
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.model import (
    NETWORKING,
    Context,
    Observation,
    Part,
    Plan,
    PlanError,
    Policy,
    Step,
    Unanswered,
    Write,
    need,
    step,
)
from aioctl.plan.workload import scaling


def plan(obs: Observation, service: Object, policy: Policy, now: datetime) -> Plan:
    """The writes this service needs, in order, given what is known. Deciding twice on the same facts gives the same."""
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
        ready = _configure(obs, service, policy, steps)
    except Unanswered as unanswered:
        steps.append(Step(Part.CONFIG, unanswered=str(unanswered)))
        return Plan(service, tuple(steps))
    if ready is None:
        if steps[-1].part in (Part.CONFIG, Part.COMBINE):
            removal = left_overs(obs, service, policy, now, picker=_scheduler)
            steps[-1:] = [removal, steps[-1]] if removal else steps[-1:]
        # A configuration that cannot be read says nothing of what is applied.
        return Plan(service, tuple(steps), applied=() if steps[-1].part is Part.COMBINE else None)
    config, combined = ready
    if (refused := dry_run.problem(obs, combined)) is not None:
        steps.append(refused)
        return Plan(service, tuple(steps), applied=combined.applied)
    ctx = Context(obs, combined.service, combined.spec, config, policy, now)
    collect(ctx, steps)
    return Plan(service, tuple(steps), ctx, applied=combined.applied)


def _stopped(obs: Observation, service: Object, policy: Policy, now: datetime, steps: list[Step]) -> Plan:
    """Takes everything of the service away by name; whether its spec can be combined matters to one condition only."""
    combined = stop.combined(obs, service, policy)
    ctx = stop.context(obs, service, policy, now)
    collect(ctx, steps)
    if combined.problem is None:
        steps.append(Step(Part.EVALUATION, unanswered="it is not known whether the spec can be combined"))
    return Plan(service, tuple(steps), ctx, combined.problem, combined.applied)


def collect(ctx: Context, steps: list[Step]) -> None:
    """Adds the parts in order, up to the first that failed or could not be answered.

    Autoscalers need the workloads and nothing else, and nothing needs them: they come last, or before the part of the
    router that fails.
    """
    for part in workload.steps(ctx):
        steps.append(part)
        if part.error or part.unanswered:
            return
    last: list[Step] = []
    for part in _router_parts(ctx):
        if part.error or part.unanswered:
            last.append(part)
            break
        steps.append(part)
    steps += scaling.steps(ctx)
    steps += last


def _configure(
    obs: Observation, service: Object, policy: Policy, steps: list[Step]
) -> tuple[GlobalConfig, Combined] | None:
    """Global configuration and combined spec; None after adding the step that says what is wrong with them."""
    config_map = need(obs.get(kinds.CONFIG_MAP, policy.system_namespace, names.CONFIG_MAP_NAME))
    bundle = step(Part.CA_BUNDLE, lambda: ca_bundle.ca_bundle(obs, namespace_of(service), config_map))
    steps.append(bundle)
    if bundle.error or bundle.unanswered:
        return None
    try:
        config = parse_config(config_map, policy.system_namespace)
    except (PlanError, FieldError) as error:
        steps.append(Step(Part.CONFIG, outer="failed to load ingress config: ", error=str(error)))
        return None
    try:
        return config, combine(obs, service, config, policy)
    except ConfigNotFound as error:
        condition = (c.PRESETS_COMBINED, "ConfigNotFound", str(error))
        steps.append(
            Step(Part.COMBINE, outer="terminal error: ", error=str(error), condition=condition, terminal=True)
        )
        return None
    except (PlanError, FieldError) as error:
        steps.append(Step(Part.COMBINE, outer="failed to combine base-configurations: ", error=str(error)))
        return None


def _router_parts(ctx: Context) -> Iterator[Step]:
    decided = cache(lambda: migration_of(ctx))
    precondition = auth.precondition(ctx)
    if precondition is not None:
        yield precondition
    yield references.validate(ctx)
    yield step(Part.SCHEDULER, lambda: _scheduler(ctx), outer=NETWORKING + "failed to reconcile scheduler: ")
    yield step(
        Part.ROUTES,
        lambda: (*route.route(ctx, decided), *probe.probe(ctx, decided)),
        outer=NETWORKING + "failed to reconcile HTTP routes: ",
    )
    # Asked here and said last: a later part may fail, and the status tells the addresses all the same.
    undiscoverable = addresses.check(ctx)
    yield step(
        Part.DESTINATION_RULES,
        lambda: destination_rules.destination_rules(ctx, decided),
        outer=NETWORKING + "failed to reconcile istio destination rules: ",
    )
    unread = pool_status.check(ctx)
    if unread is not None:
        yield unread
    yield step(
        Part.MONITORING,
        lambda: monitoring.monitoring(ctx),
        outer="failed to reconcile monitoring resources: ",
    )
    if undiscoverable is not None:
        yield undiscoverable


def _scheduler(ctx: Context) -> Iterator[Write]:
    """The order of EPP-1: access, model, tokenizer, deployment, service, pools."""
    pools.check(ctx)
    yield from scheduler.access(ctx)
    yield from pools.model(ctx)
    yield from tokenizer.tokenizer(ctx)
    yield from scheduler.deployment(ctx)
    yield from scheduler.service(ctx)
    yield from pools.pools(ctx)
    problem = scheduler.account_problem(ctx)
    if problem:
        raise PlanError(problem)
