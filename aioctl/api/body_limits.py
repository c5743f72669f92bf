"""How large a request may be, in bytes: what each of the servers here reads of a body at most."""

from typing import Final

API_REQUEST: Final = 3 << 20
"""A write to kube-apiserver (its `MaxRequestBodyBytes`), and so to the embedded one."""
ADMISSION: Final = 7 << 20
"""An admission review of this size or more is refused (ADM-2): the limit of the webhook server of Go's controller-runtime."""
CONVERSION: Final = 256 << 20
"""A conversion review, unless a setting says otherwise: two and a half times the largest list that Kubernetes' own bar for
conversion webhooks speaks of (KEP-95)."""
EMBEDDED: Final = 64 << 20
"""What the embedded cluster reads before it refuses what is above `API_REQUEST` in kube-apiserver's words; a body larger
still ends in the HTTP server's."""
