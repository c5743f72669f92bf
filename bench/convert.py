"""`python -m bench convert`: is anything lost in conversion, and how fast is it?

`losses` mutates realistic objects with a seeded generator, converts each there and back through the encoded path, and
counts objects that did not come back equal (CONV-5) or that the decoded path converts differently. One in ten is made from
the shipped CRD of its version instead, every field of it, and pruned to the other version's schema on the way, as a client's
write would (CONV-8).
`functions` times one object of 10 kB and whole reviews of 1,500 and 10,000 such objects, envelope included, in this thread.
`server` sends the same to the webhook of a running controller, over TLS on a kept connection.
"""

import argparse
import random
import resource
import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec
import yaml

from aioctl.api import review
from aioctl.api.conversion import convert_object, up
from aioctl.api.kinds import V1ALPHA1, V1ALPHA2
from aioctl.api.v1alpha1 import down
from bench import ending, from_schema, machine, report, webhook
from bench.scenario import Expectation, Parameter, Result, Scenario
from bench.webhook import envelope

Tree = dict[str, Any]
_LEVELS: Final = ("Critical", "Standard", "Sheddable")
_SCALARS: Final[tuple[Any, ...]] = (
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
_GUARDED: Final = frozenset({"apiVersion", "kind", "metadata", "model", "lora", "adapters", "pool"})
_OBJECT_SIZE: Final = 10_000
_LISTS: Final = (1_500, 10_000)
_PARTS: Final = ("losses", "functions", "server")
_FROM_SCHEMA: Final = 10
"""Every so many objects one is made from the CRD: those are ten times as large."""
_CRDS: Final = Path(__file__).resolve().parents[1] / "deploy" / "crds"


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
    number = rng.randint(1, 65535 - 7)  # up to eight ports follow each other
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
    there = _other(obj["apiVersion"])
    converted = bytes(convert_object(msgspec.json.encode(obj), there))
    returned = msgspec.json.decode(convert_object(converted, obj["apiVersion"]))
    if returned != obj:
        return "lost in the round trip"
    if msgspec.json.decode(converted) != (up(obj) if there == V1ALPHA2 else down(obj)):
        return "encoded and decoded path differ"
    return ""


@cache
def _schemas() -> dict[tuple[str, str], Tree]:
    """Kind and API version to the schema of the shipped CRD, without metadata."""
    found: dict[tuple[str, str], Tree] = {}
    for file in sorted(_CRDS.glob("serving.kserve.io_*.yaml")):
        crd = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)  # ten times as quick as without C
        for version in crd["spec"]["versions"]:
            root = version["schema"]["openAPIV3Schema"]
            parts = {
                name: root["properties"][name] for name in ("spec", "status") if name in root["properties"]
            }
            key = (crd["spec"]["names"]["kind"], f"{crd['spec']['group']}/{version['name']}")
            found[key] = {"type": "object", "properties": parts}
    return found


def _made_from(schema: Tree, rng: random.Random, kind: str, version: str) -> Tree:
    """An object with all that the schema knows, and what the CEL rules of pool and group ask for: ports of Services."""
    made = from_schema.generate(rng, schema)
    pool = made.get("spec", {}).get("router", {}).get("scheduler", {}).get("pool", {}).get("spec", {})
    if pool.get("appProtocol") == "http":
        del pool["appProtocol"]  # The schema's default: v1alpha1 has no place for it, and it comes again.
    port: Tree = {"port": {"number": 9002}} if version == V1ALPHA2 else {"portNumber": 9002}
    for reference in ("endpointPickerRef", "extensionRef"):
        if reference in pool:
            pool[reference] |= port
    for member in made.get("status", {}).get("router", {}).get("group", {}).get("members", ()):
        if "backendRef" in member:
            member["backendRef"]["port"] = 8000
    metadata = {"name": f"svc-{rng.randint(0, 999)}", "namespace": "team"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **made}


def _other(version: str) -> str:
    return V1ALPHA2 if version == V1ALPHA1 else V1ALPHA1


def _client_loses(obj: Tree, schemas: dict[tuple[str, str], Tree]) -> str:
    """Empty when the object comes back equal from a client that reads and writes the other version."""
    there = _other(obj["apiVersion"])
    converted = msgspec.json.decode(convert_object(msgspec.json.encode(obj), there))
    kept = from_schema.prune(converted, schemas[obj["kind"], there])
    written = {**converted, **{part: kept[part] for part in ("spec", "status") if part in kept}}
    returned = msgspec.json.decode(convert_object(msgspec.json.encode(written), obj["apiVersion"]))
    return "" if returned == obj else "lost by a client of the other version"


def check_losses(conversions: int, seed: int) -> Tree:
    """Run so many conversions (two per object); reports the losses and the first few objects that lost something."""
    rng = random.Random(seed)
    losses: list[Tree] = []
    schemas = _schemas()
    started = perf_counter()
    count = -(-conversions // 2)
    for number in range(count):
        version = V1ALPHA1 if number % 2 else V1ALPHA2
        if number // 2 % _FROM_SCHEMA:
            obj = make(rng, version, variables=2)
            mutate(rng, obj)
            fault = _round_trip_loses(msgspec.json.decode(msgspec.json.encode(obj)))
        else:
            kind = rng.choice(sorted({kind for kind, _ in schemas}))
            obj = _made_from(schemas[kind, version], rng, kind, version)
            fault = _client_loses(obj, schemas)
        if fault:
            losses.append({"fault": fault, "object": obj})
    return {
        "conversions": 2 * count,
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
        "p99_us": round(machine.quantile(samples, 0.99), 1),
    }


def time_review(raw: bytes, count: int) -> Tree:
    """Milliseconds to read, convert and write one review of `count` objects, and the longest single step of it."""
    body = envelope(raw, count)
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


def time_functions() -> Tree:
    """One object up and down, and whole reviews."""
    below = _sized_object()
    above = bytes(convert_object(below, V1ALPHA2))
    one = {
        name: {"bytes": len(raw), **time_one(partial(convert_object, raw, desired))}
        for name, raw, desired in (("up", below, V1ALPHA2), ("down", above, V1ALPHA1))
    }
    return {"one_object": one, "reviews": [time_review(below, count) for count in _LISTS]}


def _table(result: Tree) -> list[report.Row]:
    rows: list[report.Row] = []
    if "losses" in result:
        mutated = result["losses"]
        rows.append(
            (
                "mutated conversions",
                f"{mutated['conversions']:,}, losses {mutated['losses']}, {mutated['seconds']} s",
            )
        )
    if "functions" in result:
        functions = result["functions"]
        rows += [
            (
                f"function: {name}, {one['bytes']:,} bytes",
                f"median {one['median_us']} us, p99 {one['p99_us']} us",
            )
            for name, one in functions["one_object"].items()
        ]
        rows += [
            (
                f"function: {row['objects']:,} objects, {row['review_mb']} MB",
                f"{row['total_ms']} ms, reading {row['read_ms']} ms, longest step {row['longest_step_ms']} ms",
            )
            for row in functions["reviews"]
        ]
    if "server" in result:
        server = result["server"]
        one = server["one_object"]
        rows.append(
            (
                f"server: one object, {one['bytes']:,} bytes",
                f"median {one['median_ms']} ms, p99 {one['p99_ms']} ms",
            )
        )
        for row in server["lists"]:
            parts = (
                f"{row['slowest_ms']} ms",
                f"a small call beside it at most {row['small_call_beside_max_ms']} ms",
                f"memory {row['memory_by_review']} x the review",
            )
            rows.append((f"server: {row['objects']:,} objects, {row['review_mb']} MB", ", ".join(parts)))
    return rows


def run(options: argparse.Namespace) -> Result:
    figures: Tree = {}
    if "losses" in options.parts:
        figures["losses"] = check_losses(options.mutate, options.seed)
    if "functions" in options.parts:
        figures["functions"] = time_functions()
    if "server" in options.parts:
        figures["server"] = ending.run(
            partial(webhook.measure, _sized_object(), _LISTS, first=options.first_on_core)
        )
    return Result(figures, _table(figures))


def _lost(result: Mapping[str, Any]) -> float:
    """None, where they were not looked for."""
    return float(result["losses"]["losses"]) if "losses" in result else 0.0


SCENARIO: Final = Scenario(
    name="convert",
    what="conversion: losses there and back, pure speed, and one call after the other to an idle webhook over TLS",
    measures="objects that did not come back equal; seconds of one object and of lists; what a small call waits beside a list.",
    judged_by="the caller has no processor in common with the controller where there are two, and a second client's longest wait"
    " bounds the loop's longest stretch from outside.",
    run=run,
    parameters=[
        Parameter("parts", _PARTS, "what is done", choices=_PARTS),
        Parameter("mutate", 100_000, "conversions of mutated objects", least=1),
        Parameter("first-on-core", False, "on a machine busy with other things (needs root)"),
    ],
    seed=1,
    expectations=[Expectation("objects that were lost or differ", _lost, 0)],
    not_elsewhere="it needs an idle controller of its own; list-convert and burst-convert run on any cluster",
)
