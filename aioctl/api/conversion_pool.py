"""The inline InferencePool: v1alpha2 shape of GIE 0.5 against the shape of GIE v1 (CONV-2, CONV-3, CONV-6).

Three fields differ: the selector (flat, or under `matchLabels`), the port (one number, or a list) and the endpoint
picker's reference (`extensionRef` with a flat port number, or `endpointPickerRef` with a port object). A field is mapped
when it has the shape its version gives it. A field of the other version is dropped when the mapping would read it on
the way back, for then it is not what the user wrote; everything else passes through untouched, wrong types included.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api.carrier_checks import TARGET_PORTS, decode, target_ports
from aioctl.api.conversion_carriers import Annotations, encode, is_null
from aioctl.api.encoding import MAPPINGS
from aioctl.api.schema_checks import fits

DEFAULT_PICKER_PORT: Final = 9002
_INT64: Final = 2**63


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64


def _only(tree: Any, key: str) -> bool:
    """True for an object whose one key, nulls apart, is `key`."""
    if not isinstance(tree, MAPPINGS):
        return False
    if key in tree and len(tree) == 1:
        return True
    return all(is_null(value) or name == key for name, value in tree.items())


def _selector_up(pool: dict[str, Any]) -> None:
    selector = pool.get("selector")
    if isinstance(selector, MAPPINGS) and not isinstance(selector.get("matchLabels"), MAPPINGS):
        pool["selector"] = {"matchLabels": selector}


def _selector_down(pool: dict[str, Any]) -> None:
    selector = pool.get("selector")
    if (
        isinstance(selector, MAPPINGS)
        and isinstance(selector.get("matchLabels"), MAPPINGS)
        and _only(selector, "matchLabels")
    ):
        pool["selector"] = selector["matchLabels"]


def _first_number(ports: list[Any]) -> Any:
    return ports[0].get("number") if ports and isinstance(ports[0], MAPPINGS) else None


def _needs_carrying(ports: list[Any]) -> bool:
    """True when one number does not say all of the list."""
    return len(ports) > 1 or any(not _only(port, "number") for port in ports)


def _is_port_list(ports: Any, annotations: Annotations) -> bool:
    """True for a list that Down maps: a first entry with a number or without any, and room for the rest."""
    if not isinstance(ports, list) or (ports and not isinstance(ports[0], MAPPINGS)):
        return False
    number = _first_number(ports)
    if number is not None and not _is_number(number):
        return False
    return annotations.writable or not _needs_carrying(ports)


def _ports_up(pool: dict[str, Any], annotations: Annotations) -> None:
    number = pool.get("targetPortNumber")
    carried = decode(annotations.text(TARGET_PORTS))
    if _is_port_list(pool.get("targetPorts"), annotations):
        del pool["targetPorts"]
    if number is not None and not _is_number(number):
        return
    pool.pop("targetPortNumber", None)
    if fits(target_ports, carried) and _needs_carrying(carried) and _first_number(carried) == number:
        pool["targetPorts"] = carried
    elif number is not None:
        pool["targetPorts"] = [{"number": number}]


def _ports_down(pool: dict[str, Any], annotations: Annotations) -> None:
    ports = pool.get("targetPorts")
    stray = pool.get("targetPortNumber")
    if stray is None or _is_number(stray):
        pool.pop("targetPortNumber", None)
    if ports is None:
        pool.pop("targetPorts", None)
        return
    if not _is_port_list(ports, annotations):
        return
    # What the schema refuses was stored by mistake, and goes with the next write: only the visible number is kept.
    if _needs_carrying(ports) and fits(target_ports, ports):
        text = encode(ports)
        if text is None:
            return
        annotations.write(TARGET_PORTS, text)
    del pool["targetPorts"]
    # A stray value of the wrong type would hide the carried list on the way up.
    pool.pop("targetPortNumber", None)
    number = _first_number(ports)
    if number is not None:
        pool["targetPortNumber"] = number


def _is_port_object(port: Any) -> bool:
    return isinstance(port, MAPPINGS) and _only(port, "number") and _is_number(port.get("number"))


def _reference_up(reference: Mapping[str, Any]) -> dict[str, Any]:
    result = {**reference}
    number, port = result.get("portNumber"), result.get("port")
    if port is None or _is_port_object(port):
        result.pop("port", None)
    if _is_number(number):
        del result["portNumber"]
        result["port"] = {"number": number}
    elif number is None:
        result.pop("portNumber", None)
        # v1alpha2 demands a port for a Service, v1alpha1 does not (3.9 item 1).
        if "port" not in result and result.get("kind") in (None, "", "Service"):
            result["port"] = {"number": DEFAULT_PICKER_PORT}
    return result


def _reference_down(reference: Mapping[str, Any]) -> dict[str, Any]:
    result = {**reference}
    stray, port = result.get("portNumber"), result.get("port")
    if stray is None or _is_number(stray):
        result.pop("portNumber", None)
    if port is None:
        result.pop("port", None)
    elif _is_port_object(port):
        del result["port"]
        result["portNumber"] = port["number"]
    return result


def _picker_up(pool: dict[str, Any]) -> None:
    reference, stray = pool.get("extensionRef"), pool.get("endpointPickerRef")
    if stray is None or isinstance(stray, MAPPINGS):
        pool.pop("endpointPickerRef", None)
    if reference is None:
        pool.pop("extensionRef", None)
    elif isinstance(reference, MAPPINGS):
        del pool["extensionRef"]
        pool["endpointPickerRef"] = _reference_up(reference)


def _picker_down(pool: dict[str, Any]) -> None:
    reference, stray = pool.get("endpointPickerRef"), pool.get("extensionRef")
    if stray is None or isinstance(stray, MAPPINGS):
        pool.pop("extensionRef", None)
    if reference is None:
        pool.pop("endpointPickerRef", None)
    elif isinstance(reference, MAPPINGS):
        del pool["endpointPickerRef"]
        pool["extensionRef"] = _reference_down(reference)


def pool_up(pool: Any, annotations: Annotations) -> Any:
    """The inline pool in GIE v1 shape; the carried port list is used when it still begins with the visible number."""
    annotations.remove(TARGET_PORTS)
    if not isinstance(pool, MAPPINGS):
        return pool
    result = {**pool}
    _selector_up(result)
    _ports_up(result, annotations)
    _picker_up(result)
    return result


def pool_down(pool: Any, annotations: Annotations) -> Any:
    """The inline pool in v1alpha2 shape of GIE 0.5; what one number cannot say goes into an annotation."""
    annotations.remove(TARGET_PORTS)
    if not isinstance(pool, MAPPINGS):
        return pool
    result = {**pool}
    _selector_down(result)
    _ports_down(result, annotations)
    _picker_down(result)
    return result
