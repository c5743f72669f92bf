"""How much work an object of ours may be, told from its encoded text before anything reads it.

All work on an object grows with its bytes and with its values (objects, lists, texts, numbers, each of them one). Both are
bounded, for one object and for the sum of what a service is combined from, each reference to a config counted anew: so no
field needs a bound of its own for the loop's sake. Counting costs a few milliseconds for the largest request there is.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

MOST_BYTES: Final = 256 * 1024
"""Of encoded spec: a tenth of the largest request of kube-apiserver. The heaviest preset of KServe has 9 kB."""
MOST_VALUES: Final = 6_000
"""Measured: planning costs up to 7 microseconds a value, so that these take 42 ms. Presets and service have some 500."""

_CURE: Final = "move long lists into a ConfigMap or the image, and remove what is repeated"


def of(encoded: bytes | msgspec.Raw) -> tuple[int, int]:
    """(bytes, values) of a JSON text; of one with too many bytes, values are not counted and 0. Never raises."""
    size = len(memoryview(encoded))
    if size > MOST_BYTES:
        return size, 0
    text = bytes(encoded)
    at_most = _at_most(text)
    if at_most <= MOST_VALUES:
        return size, at_most
    # Commas and brackets inside of texts were counted too.
    try:
        return size, _values(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return size, at_most


def _at_most(text: bytes) -> int:
    """Values that a JSON text can have: each but the first stands behind a comma or is the first of its list or object."""
    return 1 + text.count(b",") + text.count(b"{") + text.count(b"[")


def problem(size: int, values: int) -> str:
    """What is wrong with such a weight, and what helps; empty when it is borne."""
    if size > MOST_BYTES:
        return f"has {size:,} bytes, and at most {MOST_BYTES:,} are planned; {_CURE}"
    if values > MOST_VALUES:
        return f"has {values:,} values (each object, list, text and number is one), and at most {MOST_VALUES:,} are planned; {_CURE}"
    return ""


def _values(tree: Any) -> int:
    """Values of a tree; stops soon after there are too many."""
    count, pending = 1, [tree]
    while pending and count <= MOST_VALUES:
        value = pending.pop()
        if isinstance(value, Mapping):
            count += len(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            count += len(value)
            pending.extend(value)
    return count


_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_whole = msgspec.json.Decoder(dict[str, Any]).decode


def decode(encoded: bytes | msgspec.Raw) -> dict[str, Any]:
    """An object of ours as a tree, but for what is too heavy: a spec stays encoded, other parts are left out.

    Left out are managedFields, labels, owners and status: nobody needs them to refuse, to delete or to report. Raises
    msgspec.DecodeError for what is no JSON object.
    """
    text = bytes(encoded)
    if len(text) <= MOST_BYTES and _at_most(text) <= MOST_VALUES:
        return _whole(text)
    tree: dict[str, Any] = dict(_parts(encoded))
    for name, part in list(tree.items()):
        if name == "metadata" and bytes(memoryview(part)[:1]) == b"{":
            tree[name] = {
                key: msgspec.json.decode(value) for key, value in _parts(part).items() if _stays(key, value)
            }
        elif name == "spec" and problem(*of(part)):
            continue
        elif name == "status" and problem(*of(part)):
            del tree[name]
        else:
            tree[name] = msgspec.json.decode(part)
    return tree


def _stays(key: str, value: msgspec.Raw) -> bool:
    return key not in ("managedFields", "labels", "ownerReferences") or not problem(*of(value))


def spec_problem(obj: Mapping[str, Any]) -> str:
    """What is wrong with the weight of the spec of an object out of `decode`; empty when it is borne."""
    spec = obj.get("spec")
    return problem(*of(spec)) if isinstance(spec, msgspec.Raw) else ""
