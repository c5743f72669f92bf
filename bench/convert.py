"""`python -m bench convert`: is anything lost in conversion, and how fast are the pure functions?

Part one mutates realistic objects with a seeded generator, converts each there and back through the encoded path, and
counts objects that did not come back equal (spec 10 section 3.8) or that the decoded path converts differently. Part
two times one object of 10 kB and whole reviews of 1,500 and 10,000 such objects, envelope included, in this thread.
"""

import argparse
import json
import random
import resource
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from aioctl.api import review
from aioctl.api.conversion import convert_object, down, up
from aioctl.api.kinds import V1ALPHA1, V1ALPHA2

Tree = dict[str, Any]
_LEVELS = ("Critical", "Standard", "Sheddable")
_SCALARS: tuple[Any, ...] = (
    0,
    1,
    -3,
    8000,
    2.5,
    True,
    False,
    None,
    "",
    "a",
    "é\n",
    {},
    [],
    ["x"],
    {"k": None},
)
# Below these keys only the generators of this file choose, so that objects stay valid in their version.
_GUARDED = frozenset({"apiVersion", "kind", "metadata", "model", "lora", "adapters", "pool"})
_OBJECT_SIZE = 10_000
_LISTS = (1_500, 10_000)


def _container(rng: random.Random, name: str, variables: int) -> Tree:
    return {
        "name": name,
        "image": f"registry.example/vllm:{rng.randint(0, 9)}",
        "args": [f"--option-{number}={rng.random()}" for number in range(rng.randint(0, 8))],
        "env": [{"name": f"VARIABLE_{number}", "value": "v" * 40} for number in range(variables)],
        "resources": {"limits": {"nvidia.com/gpu": "1", "memory": f"{rng.randint(1, 64)}Gi"}},
    }


def _adapter(rng: random.Random, version: str, depth: int = 0) -> Tree:
    adapter: Tree = {"name": f"lora-{rng.randint(0, 99)}", "uri": "hf://org/lora"}
    if version == V1ALPHA1 and rng.random() < 0.5:
        adapter["criticality"] = rng.choice(_LEVELS)
    if depth < 3 and rng.random() < 0.2:
        adapter["lora"] = {"adapters": [_adapter(rng, version, depth + 1)]}
    if rng.random() < 0.2:
        adapter["future"] = rng.choice(_SCALARS)
    return adapter


def _model(rng: random.Random, version: str) -> Tree:
    model: Tree = {"uri": "hf://meta-llama/Llama-3.1-8B", "name": "llama"}
    if version == V1ALPHA1 and rng.random() < 0.6:
        model["criticality"] = rng.choice(_LEVELS)
    if rng.random() < 0.5:
        model["lora"] = {"adapters": [_adapter(rng, version) for _ in range(rng.randint(0, 12))]}
    if rng.random() < 0.2:
        model["future"] = rng.choice(_SCALARS)
    return model


def _pool(rng: random.Random, version: str) -> Tree:
    labels = {f"label-{number}": "value" for number in range(rng.randint(0, 3))}
    kind = rng.choice(("Service", "Other"))
    reference: Tree = {"group": "", "kind": kind, "name": "picker", "failureMode": "FailOpen"}
    number = rng.randint(1, 65535)
    if version == V1ALPHA1:
        if kind == "Service":
            reference["portNumber"] = number
        pool = {"selector": labels, "targetPortNumber": number, "extensionRef": reference}
    else:
        if kind == "Service":
            reference["port"] = {"number": number}
        ports = [{"number": number + extra} for extra in range(rng.choice((1, 1, 2, 8)))]
        pool = {"selector": {"matchLabels": labels}, "targetPorts": ports, "endpointPickerRef": reference}
    return {key: value for key, value in pool.items() if rng.random() < 0.9}


def make(rng: random.Random, version: str, *, variables: int = 4) -> Tree:
    """A valid object of the version with every part conversion cares about; `variables` sets its size."""
    annotations = {"note": "x"}
    if version == V1ALPHA2 and rng.random() < 0.5:
        annotations["serving.kserve.io/criticality"] = rng.choice((*_LEVELS, "odd", ""))
    pod = {"containers": [_container(rng, "main", variables), _container(rng, "sidecar", variables)]}
    return {
        "apiVersion": version,
        "kind": rng.choice(("LLMInferenceService", "LLMInferenceServiceConfig")),
        "metadata": {"name": f"svc-{rng.randint(0, 999)}", "namespace": "team", "annotations": annotations},
        "spec": {
            "model": _model(rng, version),
            "replicas": rng.randint(0, 4),
            "template": pod,
            "prefill": {"parallelism": {"data": 4, "dataLocal": 2}, "template": pod},
            "router": {
                "route": {"http": {"spec": {"hostnames": ["a.example"], "rules": [{"matches": []}]}}},
                "gateway": {},
                "scheduler": {"pool": {"spec": _pool(rng, version)}},
            },
            "baseRefs": [{"name": "b"}, {"name": "a"}],
        },
        "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _places(tree: Any) -> Iterator[Any]:
    """Every object and list a mutation may change."""
    if isinstance(tree, dict):
        yield tree
        for key, value in tree.items():
            if key not in _GUARDED:
                yield from _places(value)
    elif isinstance(tree, list):
        yield tree
        for item in tree:
            yield from _places(item)


def mutate(rng: random.Random, obj: Tree) -> None:
    """Change a few places of the spec in place: unknown fields, missing parts, other values, other orders."""
    places = list(_places(obj["spec"]))
    for _ in range(rng.randint(1, 6)):
        place = rng.choice(places)
        if isinstance(place, list):
            rng.shuffle(place)
            continue
        free = [key for key in place if key not in _GUARDED]
        if free and rng.random() < 0.4:
            del place[rng.choice(free)]
        else:
            place[f"future{rng.randint(0, 9)}"] = rng.choice(_SCALARS)


def _round_trip_loses(obj: Tree) -> str:
    """Empty when the object comes back equal and both paths agree, else what went wrong."""
    there, back = (V1ALPHA2, V1ALPHA1) if obj["apiVersion"] == V1ALPHA1 else (V1ALPHA1, V1ALPHA2)
    converted = bytes(convert_object(msgspec.json.encode(obj), there))
    returned = msgspec.json.decode(convert_object(converted, back))
    if returned != obj:
        return "lost in the round trip"
    if msgspec.json.decode(converted) != (up(obj) if there == V1ALPHA2 else down(obj)):
        return "encoded and decoded path differ"
    return ""


def check_losses(conversions: int, seed: int) -> Tree:
    """Run so many conversions (two per object); reports the losses and the first few objects that lost something."""
    rng = random.Random(seed)
    losses: list[Tree] = []
    started = perf_counter()
    objects = -(-conversions // 2)
    for number in range(objects):
        obj = make(rng, V1ALPHA1 if number % 2 else V1ALPHA2, variables=2)
        mutate(rng, obj)
        fault = _round_trip_loses(msgspec.json.decode(msgspec.json.encode(obj)))
        if fault:
            losses.append({"fault": fault, "object": obj})
    return {
        "conversions": 2 * objects,
        "seed": seed,
        "losses": len(losses),
        "examples": losses[:3],
        "seconds": round(perf_counter() - started, 3),
    }


def _sized_object() -> bytes:
    """A v1alpha1 object of 10 kB that has something to convert everywhere."""
    obj = make(random.Random(7), V1ALPHA1)
    reference = {"name": "p", "kind": "Service", "portNumber": 9002}
    pool = {"selector": {"a": "b"}, "targetPortNumber": 8000, "extensionRef": reference}
    obj["spec"]["router"]["scheduler"]["pool"]["spec"] = pool
    obj["spec"]["model"]["criticality"] = "Critical"
    obj["spec"]["model"]["lora"] = {"adapters": [{"name": "a", "criticality": "Standard"}]}
    # Filled up with many small values, which cost more to walk than one long one.
    env = obj["spec"]["template"]["containers"][0]["env"]
    while len(msgspec.json.encode(obj)) < _OBJECT_SIZE:
        env.append({"name": f"FILLED_{len(env)}", "value": "v" * 40})
    return msgspec.json.encode(obj)


def _quantile(samples: list[float], share: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(share * len(samples)))]


def time_one(convert: Callable[[], object], rounds: int = 3_000) -> Tree:
    """Microseconds of one call."""
    samples = []
    for _ in range(rounds):
        started = perf_counter()
        convert()
        samples.append((perf_counter() - started) * 1e6)
    return {
        "rounds": rounds,
        "median_us": round(statistics.median(samples), 1),
        "p99_us": round(_quantile(samples, 0.99), 1),
    }


def time_review(raw: bytes, count: int) -> Tree:
    """Milliseconds to read, convert and write one review of `count` objects, and the longest single step of it."""
    body = (
        b'{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview","request":{"uid":"u","desiredAPIVersion":"'
        + V1ALPHA2.encode()
        + b'","objects":['
        + b",".join([raw] * count)
        + b"]}}"
    )
    steps: list[float] = []
    started = last = perf_counter()
    request = review.read_conversion(body)
    written = 0
    steps.append(perf_counter() - last)
    converted = []
    for item in request.objects:
        last = perf_counter()
        converted.append(convert_object(item, request.desired))
        steps.append(perf_counter() - last)
    for piece in review.success(request, converted):
        written += len(piece)
    total = perf_counter() - started
    return {
        "objects": count,
        "review_mb": round(len(body) / 1e6, 1),
        "answer_mb": round(written / 1e6, 1),
        "total_ms": round(total * 1e3, 1),
        "read_ms": round(steps[0] * 1e3, 1),
        "longest_step_ms": round(max(steps) * 1e3, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _table(report: Tree) -> str:
    mutated = report["mutation"]
    lines = [
        f"mutated conversions   {mutated['conversions']:>9,}   losses {mutated['losses']}   {mutated['seconds']} s",
        f"{'one object':<20} {'size':>9} {'median':>10} {'p99':>10}",
    ]
    lines += [
        f"  {name:<18} {row['bytes']:>7} B {row['median_us']:>7} us {row['p99_us']:>7} us"
        for name, row in report["one_object"].items()
    ]
    lines.append(
        f"{'one review':<20} {'size':>9} {'total':>10} {'read':>10} {'longest step':>13} {'peak RSS':>11}"
    )
    lines += [
        f"  {row['objects']:<18,} {row['review_mb']:>6} MB {row['total_ms']:>7} ms {row['read_ms']:>7} ms "
        f"{row['longest_step_ms']:>10} ms {row['peak_rss_mb']:>8} MB"
        for row in report["reviews"]
    ]
    return "\n".join(lines)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench convert", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--mutate", type=int, default=100_000, metavar="N", help="conversions of mutated objects"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the report as JSON only")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run it all; the exit code is 1 when anything was lost."""
    options = _arguments(argv)
    report: Tree = {"mutation": check_losses(options.mutate, options.seed), "one_object": {}}
    below = _sized_object()
    above = bytes(convert_object(below, V1ALPHA2))
    for name, raw, desired in (("up", below, V1ALPHA2), ("down", above, V1ALPHA1)):
        timed = time_one(partial(convert_object, raw, desired))
        report["one_object"][name] = {"bytes": len(raw), **timed}
    report["reviews"] = [time_review(below, count) for count in _LISTS]
    if not options.json:
        print(_table(report), file=sys.stderr)
    print(json.dumps(report, indent=2))
    return 1 if report["mutation"]["losses"] else 0
