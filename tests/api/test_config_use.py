"""Which services use a config (ADM-8)."""

from typing import Any

import pytest

from aioctl.api.config_use import uses
from aioctl.api.kinds import ObjectKey

SYSTEM = "sys"


def service(
    *refs: str, pinned: dict[str, str] | None = None, applied: list[tuple[str, str]] | None = None
) -> dict[str, Any]:
    status: dict[str, Any] = {"annotations": pinned or {}}
    if applied is not None:
        status["appliedConfigs"] = [{"namespace": space, "name": name} for space, name in applied]
    return {
        "metadata": {"name": "a", "namespace": "ns"},
        "spec": {"baseRefs": [{"name": ref} for ref in refs]},
        "status": status,
    }


def used(found: Any, namespace: str, name: str = "c", *, known: bool = False, shadowed: bool = False) -> bool:
    return uses(
        found,
        ObjectKey(namespace, name),
        system_namespace=SYSTEM,
        well_known=known,
        exists=lambda key: shadowed and key == ObjectKey("ns", "c"),
    )


@pytest.mark.parametrize(
    ("found", "own", "systems"),
    [
        (service(), False, False),
        (service("c"), True, True),
        (service("d"), False, False),
        (service(pinned={"serving.kserve.io/config-llm-template": "c"}), True, True),
        (service("c", applied=[]), True, True),
        (service("c", applied=[("ns", "d")]), False, False),
        (service(applied=[("ns", "d"), ("ns", "c")]), True, False),
        (service(applied=[("sys", "c")]), False, True),
        ({**service("c"), "status": {"appliedConfigs": "x", "annotations": []}}, True, True),
        ({**service("c"), "spec": []}, False, False),
        ({**service(), "spec": {"baseRefs": ["c", {"name": ["c"]}]}}, False, False),
    ],
)
def test_a_config_is_used_by_what_was_made_of_it_else_by_who_names_it(
    found: Any, *, own: bool, systems: bool
) -> None:
    assert used(found, "ns") == own
    assert used(found, SYSTEM) == systems
    assert not used(found, "elsewhere")


def test_a_config_of_the_system_namespace_that_another_hides_is_not_used_by_name() -> None:
    assert not used(service("c"), SYSTEM, shadowed=True)
    assert used(service("c"), "ns", shadowed=True)
    assert used(service(applied=[(SYSTEM, "c")]), SYSTEM, shadowed=True)


def test_a_well_known_config_is_used_by_all_that_would_find_it() -> None:
    assert used(service(), "ns", known=True)
    assert used(service(), SYSTEM, known=True)
    assert not used(service(), "elsewhere", known=True)
