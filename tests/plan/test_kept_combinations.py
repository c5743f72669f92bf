"""A combination is kept for exactly what it was made of, and made anew for anything else."""

from typing import Any

import pytest

from aioctl.plan import combine as combining
from tests.plan.combined_world import PREFIX, combined, refs


@pytest.mark.parametrize(
    ("spec", "configs", "metadata"),
    [
        ({"template": {"hostname": "mine"}}, {}, {}),
        ({}, {"ns/a": {"template": {"hostname": "other"}}}, {}),
        ({}, {"kserve/a": {"template": {"hostname": "here"}}}, {}),
        ({}, {}, {"annotations": {"note": "x"}}),
        ({}, {}, {"uid": "other"}),
    ],
)
def test_a_result_is_kept_for_exactly_what_it_was_made_of(
    spec: dict[str, Any],
    configs: dict[str, Any],
    metadata: dict[str, Any],
    made: list[combining._Inputs],
) -> None:
    base = {"baseRefs": refs("a")}
    a = {"ns/a": {"template": {"hostname": "here"}}}
    first = combined(base, a).spec
    assert combined(base, a).spec == first
    assert len(made) == 1
    combined({**base, **spec}, configs or a, **metadata)
    assert len(made) == 2


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[combining._Inputs]:
    """What was combined anew, from a time on when nothing was kept."""
    found: list[combining._Inputs] = []
    make = combining._made

    def counted(inputs: combining._Inputs) -> tuple[dict[str, Any], combining._Read]:
        found.append(inputs)
        return make(inputs)

    combining._KEPT.clear()
    monkeypatch.setattr(combining, "_made", counted)
    return found


def test_a_result_is_kept_while_only_the_status_or_a_version_of_the_service_changes(
    made: list[combining._Inputs],
) -> None:
    preset = {f"kserve/{PREFIX}template": {"template": {"hostname": "{{ .ObjectMeta.UID }}"}}}
    first = combined({}, preset, uid="u")
    passing: dict[str, Any] = {
        "resourceVersion": "2",
        "managedFields": [{"manager": "m"}],
        "finalizers": ["a/b"],
    }
    second = combined({}, preset, uid="u", **passing)
    assert second.spec == first.spec
    assert len(made) == 1
    assert second.service["metadata"]["resourceVersion"] == "2"


def test_a_result_is_kept_for_any_number_of_replicas_which_stands_in_its_place(
    made: list[combining._Inputs],
) -> None:
    preset = {
        f"kserve/{PREFIX}decode-template": {"template": {"hostname": "h"}},
        f"kserve/{PREFIX}prefill-template": {"replicas": 9, "template": {"hostname": "p"}},
    }
    edits: list[dict[str, Any]] = [
        {"replicas": 3, "prefill": {"replicas": 1}},
        {"replicas": 0, "prefill": {"replicas": 4}},
        {"replicas": 3, "prefill": {"replicas": 0}},
    ]
    kept = [combined(spec, preset, generation=number) for number, spec in enumerate(edits)]
    assert len(made) == 1
    assert [(found.spec["replicas"], found.spec["prefill"]["replicas"]) for found in kept] == [
        (3, 1),
        (0, 4),
        (3, 0),
    ]
    for number, spec in enumerate(edits):
        combining._KEPT.clear()
        assert combined(spec, preset, generation=number) == kept[number]


@pytest.mark.parametrize("spec", [{}, {"replicas": 2**31}, {"replicas": 1, "prefill": {"replicas": 2}}])
def test_a_number_of_replicas_that_comes_goes_or_is_none_is_combined_anew(
    spec: dict[str, Any], made: list[combining._Inputs]
) -> None:
    preset = {
        f"kserve/{name}": {"replicas": 9}
        for name in (f"{PREFIX}decode-template", f"{PREFIX}prefill-template")
    }
    combined({"replicas": 1, "prefill": {}}, preset)
    found = combined({"prefill": {}, **spec}, preset)
    assert len(made) == 2
    assert found.spec["replicas"] == spec.get("replicas", 9)


@pytest.mark.parametrize(
    "template",
    [
        "{{ .Spec.Replicas }}-{{ .ObjectMeta.Generation }}",
        "{{ with .Spec }}{{ .Replicas }}{{ end }}-{{ .Generation }}",
    ],
)
def test_a_template_that_reads_a_number_is_rendered_anew_for_another(template: str) -> None:
    preset = {f"kserve/{PREFIX}template": {"template": {"hostname": template}}}
    for replicas, generation in 2 * [(1, 1), (2, 1), (2, 2)]:
        found = combined({"replicas": replicas}, preset, generation=generation)
        assert found.numbered
        assert found.spec["template"]["hostname"] == f"{replicas}-{generation}"


@pytest.mark.parametrize(
    ("template", "field", "values"),
    [
        ("v{{ .ObjectMeta.ResourceVersion }}", "resourceVersion", {"1": "v1", "2": "v2"}),
        ("v{{ with .ObjectMeta }}{{ .ResourceVersion }}{{ end }}", "resourceVersion", {"1": "v1", "2": "v2"}),
        ("v{{ if .ObjectMeta.Finalizers }}f{{ end }}", "finalizers", {("a/b",): "vf", (): "v"}),
    ],
)
def test_a_template_that_reads_what_passes_is_rendered_anew(
    template: str, field: str, values: dict[Any, str]
) -> None:
    preset = {f"kserve/{PREFIX}template": {"template": {"hostname": template}}}
    for stored, hostname in 2 * list(values.items()):
        assert combined({}, preset, **{field: stored}).spec["template"]["hostname"] == hostname
