"""The TLS secret of a service: which names and addresses it must carry, and when a new pair is needed (CERT-1).

Keys and signatures are made when the write is sent (`Sign`), never here. A pair that lacks something is signed again
only once every Service whose address it needs has one, so a new service costs one create and one update; a pair
that cannot be used at all is replaced at once.
"""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import external_pool_name, inline_picker_name
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import Object, annotations_of, labels_of, mapping, sequence, text
from aioctl.api.records import changed
from aioctl.golang import gotime
from aioctl.plan import picker
from aioctl.plan.children import build, ensure, is_ours, remove, under
from aioctl.plan.cluster_service import has_address
from aioctl.plan.memo import passed
from aioctl.plan.model import Context, PlanError, Sign, Write
from aioctl.plan.observation import Present, need, need_list
from aioctl.plan.routing import picker_of

_Address = IPv4Address | IPv6Address
_RENEWAL: Final = timedelta(hours=70_080)
_LOCALHOST: Final = "127.0.0.1"
_NO_SIGNER: Final = (
    "failed to get expected self-signed certificate secret: failed to create self-signed TLS certificate: "
    "failed to load CA certificate (required for signing): "
)


def certificate(ctx: Context) -> Iterator[Write]:
    """The secret's write, if one is needed."""
    name = names.tls_secret_name(ctx.name)
    if ctx.stopped:
        yield from remove(ctx, kinds.SECRET, name)
        return
    live = need(ctx.obs.get(kinds.SECRET, ctx.namespace, name))
    if live is not None and not _needs_new(ctx, live):
        writes = _keep(ctx, live)
    else:
        writes = _renew(ctx, name, Sign(expected_names(ctx), expected_addresses(ctx), _signer(ctx)))
    yield from under("failed to reconcile self-signed TLS certificate: ", writes)


def is_self_signed(ctx: Context) -> bool:
    """Whether no CA vouches for the stored pair; before there is one, whether none will."""
    data = mapping(need(ctx.obs.get(kinds.SECRET, ctx.namespace, names.tls_secret_name(ctx.name))), "data")
    if text(data, "tls.crt"):
        return text(data, "ca.crt") == text(data, "tls.crt")
    ref = ctx.policy.signer
    return ref is None or need(ctx.obs.get(ref.kind, ref.namespace, ref.name)) is None


def expected_names(ctx: Context) -> tuple[str, ...]:
    """DNS names, sorted: localhost, the workload Service, the endpoint picker's where there is a pool, and the tokenizer's."""
    services = [names.workload_service_name(ctx.name)]
    picked_by = _picker(ctx)
    if picked_by:
        services.append(picked_by)
    if picker.tokenizer_is_wanted(ctx):
        services.append(names.tokenizer_name(ctx.name))
    hosts = {f"{service}.{ctx.namespace}.svc" for service in services}
    return tuple(sorted({"localhost", *hosts, *(f"{host}.{ctx.policy.cluster_domain}" for host in hosts)}))


def expected_addresses(ctx: Context) -> tuple[str, ...]:
    """Addresses of the service's pods and Services but the picker's, sorted as text.

    What is no address (`None`, empty) is left out.
    """
    found = {_LOCALHOST}
    for pod in _around_the_model(ctx, kinds.POD):
        found.add(text(pod, "status", "podIP"))
        found.update(text(entry, "ip") for entry in sequence(pod, "status", "podIPs"))
    for service in _around_the_model(ctx, kinds.CORE_SERVICE):
        found.add(text(service, "spec", "clusterIP"))
        found.update(sequence(service, "spec", "clusterIPs"))
    return tuple(sorted({str(address) for address in map(_parse, found) if address is not None}))


def _around_the_model(ctx: Context, kind: Kind) -> Iterator[Object]:
    """Objects that carry the service's labels, without those of the endpoint picker, which nobody calls by address."""
    labels = {names.NAME: ctx.name, names.PART_OF: names.PART_OF_VALUE}
    for found in need_list(ctx.obs.select(kind, ctx.namespace, labels)):
        if labels_of(found).get(names.COMPONENT) != names.SCHEDULER_COMPONENT:
            yield found


def _keep(ctx: Context, live: Object) -> Iterator[Write]:
    """Repairs labels, type and owner; the pair and its expiry stay."""
    wanted = build(
        ctx,
        kinds.SECRET,
        text(live, "metadata", "name"),
        labels=names.labels(ctx.name, names.WORKLOAD_COMPONENT),
        type="kubernetes.io/tls",
        data=mapping(live, "data"),
    )
    yield from ensure(ctx, kinds.SECRET, wanted)


def _renew(ctx: Context, name: str, sign: Sign) -> Iterator[Write]:
    """A new pair, which leaves no word of when an older one expires."""
    expiry = (ctx.now + _RENEWAL).strftime("%Y-%m-%dT%H:%M:%SZ")
    wanted = build(
        ctx,
        kinds.SECRET,
        name,
        labels=names.labels(ctx.name, names.WORKLOAD_COMPONENT),
        annotations={ctx.config.expiration_annotations[0]: expiry},
        type="kubernetes.io/tls",
    )
    for write in ensure(
        ctx, kinds.SECRET, wanted, same=lambda _wanted, _live: False, exclusive=_expiries(ctx)
    ):
        yield changed(write, sign=sign)


def _needs_new(ctx: Context, live: Object) -> bool:
    if not is_ours(ctx, live):
        return False
    known = ctx.obs.certificate(live)
    if isinstance(known, str) or _expired(ctx, live) or passed(ctx, known.not_after):
        return True
    has = {_parse(address) for address in known.ip_addresses}
    missing = any(name not in known.dns_names for name in expected_names(ctx)) or any(
        _parse(address) not in has for address in expected_addresses(ctx)
    )
    return missing and _services_have_addresses(ctx)


def _expired(ctx: Context, live: Object) -> bool:
    """By the first of the annotations that is there; a missing or unreadable one says nothing."""
    found = annotations_of(live)
    expiry = gotime.rfc3339(next((found[key] for key in _expiries(ctx) if key in found), ""))
    return expiry is not None and passed(ctx, expiry)


def _expiries(ctx: Context) -> tuple[str, ...]:
    """The annotations that say when a pair expires, the first that counts first."""
    return (*ctx.config.expiration_annotations, names.CERTIFICATE_EXPIRY)


def _services_have_addresses(ctx: Context) -> bool:
    wanted = [names.workload_service_name(ctx.name)]
    if picker.tokenizer_is_wanted(ctx):
        wanted.append(names.tokenizer_name(ctx.name))
    found = [need(ctx.obs.get(kinds.CORE_SERVICE, ctx.namespace, name)) for name in wanted]
    return all(service is not None and has_address(service) for service in found)


def _picker(ctx: Context) -> str:
    """The endpoint picker's Service; of a referenced pool only if that can be read (an unknown answer is ignored)."""
    pool = mapping({"spec": ctx.spec}, "spec", "router", "scheduler", "pool")
    if not pool:
        return ""
    external = external_pool_name(ctx.spec)
    if external:
        read = ctx.obs.get(kinds.POOL_V1, ctx.namespace, external)
        if isinstance(read, Present):
            return picker_of(read.obj)
    return inline_picker_name(ctx.spec)


def _signer(ctx: Context) -> ObjectRef | None:
    """The CA secret, None to sign with the pair's own key where the cluster has no CA secret."""
    ref = ctx.policy.signer
    if ref is None:
        return None
    secret = need(ctx.obs.get(ref.kind, ref.namespace, ref.name))
    if secret is None:
        return None
    problem = ctx.obs.signer(secret)
    if problem:
        raise PlanError(_NO_SIGNER + problem)
    return ref


def _parse(value: str) -> _Address | None:
    try:
        return ip_address(value)
    except ValueError:
        return None
