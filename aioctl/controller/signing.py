"""Makes the key pairs of the services' TLS secrets when a write asks for one (CERT-2).

Kept out of the plan because it is random and, with RSA, slow: RSA keys are made in a worker thread, P-256 keys at once.
"""

import base64
import json
from collections.abc import Mapping

import anyio.to_thread

from aioctl.api.kinds import ObjectRef
from aioctl.api.user_names import SUBDOMAIN
from aioctl.controller.apply import SigningError
from aioctl.controller.caches import Caches
from aioctl.controller.observe import secret_entry
from aioctl.engine.clock import Clock
from aioctl.pki import pairs
from aioctl.plan.model import Sign


class ServiceSigner:
    """Signs with the CA Secret that the write names, or each certificate with its own key where there is none."""

    def __init__(self, caches: Caches, clock: Clock, *, key_type: pairs.KeyType) -> None:
        self._caches = caches
        self._clock = clock
        self._key_type = key_type

    async def __call__(self, request: Sign) -> Mapping[str, str]:
        """The `data` of the Secret, base64. Raises SigningError for a name that is none, and a CA that cannot sign (any more)."""
        for name in request.dns_names:
            # The last look: whoever made a name from a user's text should have looked before.
            if SUBDOMAIN.fullmatch(name) is None:
                raise SigningError(f"refusing to sign {json.dumps(name)}: it is no DNS name")
        crt, key = self._authority(request.signer)
        now = self._clock.now()

        def sign() -> tuple[bytes, bytes, bytes]:
            return pairs.sign_service_pair(
                request.dns_names,
                request.ip_addresses,
                signer_crt=crt,
                signer_key=key,
                now=now,
                key_type=self._key_type,
            )

        try:
            made = sign() if self._key_type == "ec" else await anyio.to_thread.run_sync(sign)
        except pairs.SignerError as error:
            # The plan saw a CA that could; it was changed since.
            raise SigningError(
                f"{request.signer} cannot sign: {error}; give it a PEM certificate as tls.crt and its "
                "key as tls.key, or delete it for certificates that sign themselves"
            ) from error
        return {
            name: base64.b64encode(pem).decode()
            for name, pem in zip(("tls.crt", "tls.key", "ca.crt"), made, strict=True)
        }

    def _authority(self, ref: ObjectRef | None) -> tuple[bytes | None, bytes | None]:
        if ref is None:
            return None, None
        cached = self._caches.get(ref.kind, ref.key)
        if cached is None:
            return None, None
        secret = cached.decode()
        return secret_entry(secret, "tls.crt") or b"", secret_entry(secret, "tls.key") or b""
