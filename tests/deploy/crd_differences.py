"""Every difference between our CRDs and the KServe CRDs they replace, with its reason (SCHEMA-1).

A difference is found at a path of the schema (`[]` for items), in one keyword; `field` means that the field itself is only
here. An entry names the end of the path, the keyword, and why. The comparison fails on a difference without an entry, and on an
entry without a difference.
"""

from typing import NamedTuple


class Difference(NamedTuple):
    """One reviewed difference."""

    ends_with: str
    keyword: str
    reason: str


DIFFERENCES = (
    Difference(
        ".volumes[].ephemeral.volumeClaimTemplate.metadata.annotations",
        "field",
        "KServe's schema prunes all metadata of a claim template; what the API server accepts there is kept",
    ),
    Difference(".volumes[].ephemeral.volumeClaimTemplate.metadata.labels", "field", "the same"),
    Difference(
        ".externalAuth.grpc.allowedHeaders",
        "maxItems",
        "KServe embeds Gateway API of 2025-10-17, which has this limit; 1.4.1, which clusters run, has not",
    ),
    Difference(".externalAuth.http.allowedHeaders", "maxItems", "the same"),
    Difference(".externalAuth.http.allowedResponseHeaders", "maxItems", "the same"),
    Difference(
        ".pool.spec.extensionRef.group",
        "minLength",
        "the published CRD leaves out a minimum of 0, which says nothing",
    ),
    Difference(
        "<service>",
        "additionalPrinterColumns",
        "one more, the last: which InferencePool generation carries the traffic",
    ),
)
