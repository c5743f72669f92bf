"""Names that users write and that become part of something else: a certificate, a host, a script, a path.

There a name that is not one means more than itself (`*.fleet` in a certificate speaks for every host, a quote ends a
word of a script), so it is checked before it is used. Each function gives the reason why a value cannot be used, empty
if it can; the caller knows the field.
"""

import re
from typing import Final

LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
"""A label of RFC 1123, as Kubernetes wants it: lower case, 63 characters."""
SERVICE: Final = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
"""A label of RFC 1035 in lower case: what the API server lets a Service be called."""
SUBDOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){LABEL.pattern}(?:\.{LABEL.pattern})*+")
"""Labels with dots between them: what a DNS name and most names of objects look like."""
_WORD: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""What stands in labels: as a value, or behind the slash of a key."""
_IMAGE: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._:/@+\[\]]*+")
_UNFIT: Final = re.compile(r'["$`\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
"""Ends a word of a shell's script, or a line: control characters (Cc), lone surrogates (Cs) and separators (Zl, Zp)."""
_LONGEST_SHOWN: Final = 80


def _shown(value: str) -> str:
    text = value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text) + '"'


def service_problem(value: str) -> str:
    """The name of a Service that is made: a label of RFC 1035, which begins with a letter."""
    if SERVICE.fullmatch(value):
        return ""
    return (
        f"{_shown(value)} is no name of a Service: use 1 to 63 lower case letters, digits and '-', "
        "beginning with a letter and ending with a letter or digit"
    )


def host_problem(value: str) -> str:
    """The name of somebody's Service, which becomes a host and a name in a certificate.

    It may begin with a digit: kube-apiserver lets it where RelaxedServiceNameValidation is on.
    """
    if LABEL.fullmatch(value):
        return ""
    return (
        f"{_shown(value)} is no name of a Service: use 1 to 63 lower case letters, digits and '-', "
        "beginning and ending with a letter or digit"
    )


def object_problem(value: str) -> str:
    """The name of an object such as a claim: a DNS subdomain."""
    if SUBDOMAIN.fullmatch(value):
        return ""
    return (
        f"{_shown(value)} is no name of an object: use 1 to 253 lower case letters, digits, '-' and '.', "
        "beginning and ending with a letter or digit"
    )


def model_problem(value: str) -> str:
    """A model's name, which presets put between double quotes into the server's script."""
    found = _UNFIT.search(value)
    if found is None:
        return ""
    return (
        f"{_shown(value)} has the character {_shown(found.group())}, which a script cannot hold: leave it out"
    )


def image_problem(value: str) -> str:
    """An image reference, which becomes part of a script beside the image field."""
    if _IMAGE.fullmatch(value):
        return ""
    return f"{_shown(value)} is no image reference: use letters, digits and . _ - : / @"


def path_problem(value: str) -> str:
    """A path inside a volume: relative, and never out of it."""
    if value.startswith("/") or ".." in value.split("/") or not value.isprintable():
        return (
            f"{_shown(value)} is no path inside a volume: leave out a leading / and .. and control characters"
        )
    return ""


def key_problem(value: str) -> str:
    """The key of a label: a name, or a DNS subdomain, a slash and a name. That of an annotation, in lower case, too."""
    prefix, slash, name = value.rpartition("/")
    if _WORD.fullmatch(name) and (SUBDOMAIN.fullmatch(prefix) if slash else True):
        return ""
    return (
        f"{_shown(value)} is no key: use 1 to 63 of letters, digits and - _ . with a letter or digit at both ends, "
        "behind a DNS name and a slash or alone"
    )


def label_problem(value: str) -> str:
    """The value of a label, which may be empty."""
    if not value or _WORD.fullmatch(value):
        return ""
    return f"{_shown(value)} is no label: use at most 63 of letters, digits and - _ . with a letter or digit at both ends"
