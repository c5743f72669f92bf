"""LoRA adapters: where they lie, what is fetched, and what the server is told (LORA-1).

The recorded rows are KServe's; they differ from ours where an adapter's name makes no name of a volume.
"""

import copy
import re
from hashlib import sha256
from typing import Any

import pytest

from aioctl.plan.model import PlanError
from aioctl.plan.workload import lora
from testbed.shared_data import UPSTREAM, vectors

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def spec(*adapters: tuple[str, str], **more: Any) -> dict[str, Any]:
    given = [{"name": name, "uri": uri} for name, uri in adapters]
    return {"model": {"uri": "hf://a/b", "lora": {"adapters": given}}, **more}


def with_valid_volumes(pod: dict[str, Any]) -> dict[str, Any]:
    """The recorded pod with volume names that an API server takes."""
    pod = copy.deepcopy(pod)
    mounts = [mount for container in pod["containers"] for mount in container.get("volumeMounts", ())]
    for holder in [*pod.get("volumes", ()), *mounts]:
        name = holder["name"].removeprefix("lora-pvc-")
        if name != holder["name"] and not _LABEL.fullmatch(holder["name"]):
            holder["name"] = f"lora-pvc-{sha256(name.encode()).hexdigest()[:16]}"
    return pod


def without_fillers(pod: dict[str, Any]) -> dict[str, Any]:
    pod = copy.deepcopy(pod)
    for container in pod["containers"]:
        if not container.get("resources"):
            container.pop("resources", None)
    return pod


def outcome(row: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """What we make of a row, in the words of the recording."""
    service = row["service"]
    found: dict[str, Any] = {"pod": before}
    try:
        adapters = lora.resolve(service["spec"])
    except PlanError as error:
        return {**found, "error": str(error)}
    found["adapters"] = [
        {"name": each.name, "path": each.path, "scheme": f"{each.scheme}://", "uri": each.uri}
        for each in adapters
    ] or None
    try:
        lora.attach(before, adapters, service["spec"]["model"]["lora"], service["metadata"]["namespace"])
    except PlanError as error:
        return {**found, "error": str(error)}
    found["downloads"] = [list(pair) for pair in lora.downloads(adapters)] or None
    return found


def input_pod(row: dict[str, Any]) -> dict[str, Any]:
    """The pod before, told from the pod afterwards: what adapters add is taken off."""
    pod: dict[str, Any] = copy.deepcopy(row["pod"])
    pod.pop("volumes", None)
    for container in pod["containers"]:
        args = container.get("args", [])
        if args[:1] == ["--enable-lora"]:
            last = max(at for at, value in enumerate(args) if value.startswith("'{"))
            container["args"] = args[last + 1 :]
            if not container["args"]:
                del container["args"]
        mounts = [
            mount for mount in container.get("volumeMounts", ()) if not mount["name"].startswith("lora-pvc-")
        ]
        container.pop("volumeMounts", None)
        if mounts:
            container["volumeMounts"] = mounts
    return pod


def test_the_recorded_adapters_come_out_as_recorded() -> None:
    rows = vectors("lora", UPSTREAM)
    assert len(rows) == 340
    for row in rows:
        recorded = {key: row[key] for key in ("adapters", "downloads", "error", "pod") if key in row} | {
            "pod": with_valid_volumes(without_fillers(row["pod"]))
        }
        assert outcome(row, without_fillers(input_pod(row))) == recorded, row["service"]


@pytest.mark.parametrize(
    ("names", "segments"),
    [
        (["a/b", "@@@"], ["---", "a-b"]),
        (["", ".", ".."], ["adapter", f"adapter-{sha256(b'.').hexdigest()[:8]}", None]),
        (["A.b_c-d"], ["A.b_c-d"]),
        # The first by name keeps the plain directory.
        (["a/b", "a-b"], ["a-b", f"a-b-{sha256(b'a/b').hexdigest()[:8]}"]),
    ],
)
def test_each_name_has_a_directory_of_its_own(names: list[str], segments: list[str | None]) -> None:
    found = lora.resolve(spec(*((name, "hf://o/m") for name in names)))
    paths = [adapter.path for adapter in found]
    assert len(set(paths)) == len(names)
    for path, segment in zip(paths, segments, strict=True):
        assert segment is None or path == f"/mnt/lora/{segment}"


@pytest.mark.parametrize("name", ["it's", "a\\b"])
def test_a_name_that_breaks_the_quotes_of_a_preset_is_refused(name: str) -> None:
    with pytest.raises(PlanError) as caught:
        lora.resolve(spec((name, "hf://o/m")))
    assert str(caught.value) == f'LoRA adapter "{name}": invalid name'


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("pvc://", "it names no claim"),
        ("pvc://c//x", "it has an empty part (`//`) in its path"),
        ("hf://o//m", "it has an empty part (`//`) in its path"),
    ],
)
def test_a_place_that_cannot_be_is_named_with_the_forms(uri: str, reason: str) -> None:
    with pytest.raises(PlanError) as caught:
        lora.resolve(spec(("a", uri)))
    forms = "use hf://<organisation>/<model>, s3://<bucket>/<path> or pvc://<claim>/<path>"
    assert str(caught.value) == f'LoRA adapter "a": invalid URI "{uri}": {reason}; {forms}'


def test_a_name_is_json_as_go_writes_it() -> None:
    pod: dict[str, Any] = {"containers": [{"name": "main"}]}
    lora.attach(pod, lora.resolve(spec(('<"é&', "hf://o/m"))), {}, "ns")
    assert pod["containers"][0]["args"][2] == r"""'{"name":"\u003c\"é\u0026","path":"/mnt/lora/----"}'"""


def test_a_long_name_still_makes_a_volume() -> None:
    pod: dict[str, Any] = {"containers": [{"name": "main"}]}
    lora.attach(pod, lora.resolve(spec(("n" * 100, "pvc://c"))), {}, "ns")
    (volume,) = pod["volumes"]
    assert _LABEL.fullmatch(volume["name"])
    assert len(volume["name"]) <= 63
    assert pod["containers"][0]["volumeMounts"][0]["name"] == volume["name"]
