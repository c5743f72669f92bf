"""How much work an object of ours may be, told from its encoded text before anything reads it.

All work on an object grows with its bytes and with its values (objects, lists, texts, numbers, each of them one). Both are
bounded, for one object and for the sum of what a service is combined from, each reference to a config counted anew: so no
field needs a bound of its own for the loop's sake (docs/decisions/0013-bounds-of-weight.md).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import msgspec

from aioctl.api.encoding import decode_deep

MOST_BYTES: Final = 256 * 1024
"""Of encoded spec: a twelfth of the largest request of kube-apiserver (3 MiB). All presets of KServe have 76 kB together."""
MOST_VALUES: Final = 6_000
"""All presets of KServe have 1,614 together, the heaviest 226."""

MOST_LEVELS: Final = 100
"""The schema itself is 16 levels deep, and the code that merges and writes specs recurses: Python ends that at 1,000 calls."""

_HOLDERS: Final = frozenset({dict, list})
_CURE: Final = "move long lists into a ConfigMap or the image, and remove what is repeated"


@dataclass(frozen=True, slots=True)
class Weight:
    """Of one JSON text, or of several that are worked on together."""

    size: int = 0
    """In bytes."""
    values: int = 0
    """Exact, or more than there are but borne; 0 where there are too many bytes to look."""
    levels: int = 0
    """Of nesting, as `values`."""

    def __add__(self, other: "Weight") -> "Weight":
        return Weight(self.size + other.size, self.values + other.values, max(self.levels, other.levels))


def of(encoded: bytes | msgspec.Raw) -> Weight:
    """What a JSON text weighs; never raises."""
    size = len(memoryview(encoded))
    if size > MOST_BYTES:
        return Weight(size)
    text = bytes(encoded)
    at_most = _at_most(text)
    if not problem(at_most):
        return at_most
    # Commas and brackets inside of texts were counted too, and lists that stand beside each other as if within each other.
    try:
        return _of_tree(size, msgspec.json.decode(text))
    except RecursionError:
        return Weight(size, levels=MOST_LEVELS + 1)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return at_most


def _at_most(text: bytes) -> Weight:
    """No JSON text of these bytes weighs more.

    Each value but the first stands behind a comma or is the first of its list or object.
    """
    opened = text.count(b"{") + text.count(b"[")
    return Weight(len(text), 1 + text.count(b",") + opened, opened)


def _of_tree(size: int, tree: Any) -> Weight:
    """The weight of a tree, level by level; stops soon after it is too much."""
    values, levels, row = 1, 0, _contents([tree])
    while values <= MOST_VALUES and levels <= MOST_LEVELS:
        parts = list(chain.from_iterable(row))
        if not parts:
            break
        values += len(parts)
        levels += 1
        row = _contents(parts)
    return Weight(size, values, levels)


def _contents(values: Iterable[Any]) -> list[Iterable[Any]]:
    """What each of the objects and lists among them holds."""
    return [value.values() if type(value) is dict else value for value in values if type(value) in _HOLDERS]


def problem(weight: Weight) -> str:
    """What is wrong with such a weight, and what helps; empty when it is borne."""
    if weight.size > MOST_BYTES:
        return f"has {weight.size:,} bytes, and at most {MOST_BYTES:,} are planned; {_CURE}"
    if weight.levels > MOST_LEVELS:
        return (
            f"is nested more than {MOST_LEVELS} levels deep, and no deeper ones are planned; make it flatter"
        )
    if weight.values > MOST_VALUES:
        return (
            f"has {weight.values:,} values (each object, list, text and number is one), and at most "
            f"{MOST_VALUES:,} are planned; {_CURE}"
        )
    return ""


_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_whole = msgspec.json.Decoder(dict[str, Any]).decode


class LeftOut(dict[str, Any]):
    """Empty: stands for a map that is there and too heavy to be read."""


def decode(encoded: bytes | msgspec.Raw) -> dict[str, Any]:
    """An object of ours as a tree, but for what is too heavy: a spec stays encoded, other parts are left out.

    Left out are managedFields, labels, owners and status: nobody needs them to refuse, to delete or to report. In the place
    of labels is a `LeftOut`, so that nobody writes others over them. Finalizers stay encoded, too (`finalizers.py`). Raises msgspec.DecodeError for what is no JSON object.
    """
    text = bytes(encoded)
    if len(text) <= MOST_BYTES:
        if not problem(_at_most(text)):
            return _whole(text)
        # Most objects with more than a hundred brackets are light, too: a tree that is there is weighed sooner than its parts.
        with suppress(RecursionError, msgspec.DecodeError, UnicodeDecodeError):
            whole = _whole(text)
            if not problem(_of_tree(len(text), whole)):
                return whole
    tree: dict[str, Any] = dict(decode_deep(_parts, encoded))
    for name, part in list(tree.items()):
        if name == "metadata" and bytes(memoryview(part)[:1]) == b"{":
            tree[name] = {
                key: _metadata(key, value)
                for key, value in decode_deep(_parts, part).items()
                if key not in ("managedFields", "ownerReferences") or not problem(of(value))
            }
        elif name == "spec" and problem(of(part)):
            continue
        elif name == "status" and problem(of(part)):
            del tree[name]
        else:
            tree[name] = msgspec.json.decode(part)
    return tree


def _metadata(key: str, value: msgspec.Raw) -> Any:
    if key == "finalizers" and problem(of(value)):
        return value
    if key == "labels" and problem(of(value)):
        return LeftOut()
    return msgspec.json.decode(value)


def spec_problem(obj: Mapping[str, Any]) -> str:
    """What is wrong with the weight of the spec of an object out of `decode`; empty when it is borne."""
    spec = obj.get("spec")
    return problem(of(spec)) if isinstance(spec, msgspec.Raw) else ""
