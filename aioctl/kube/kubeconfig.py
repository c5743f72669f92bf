"""The library's reader of kubeconfig files, with its refresh of OIDC tokens put right.

The library (kubernetes_asyncio 36.1) calls its own writer of refreshed tokens with an argument that it does not take, checks
no certificate of an issuer without `idp-certificate-authority-data`, and cannot use one with it. Imported inside functions
only, like the library itself.
"""

import ssl
from typing import Any, Final

import aiohttp
import structlog
from kubernetes_asyncio.config.config_exception import ConfigException
from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

_ISSUER_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0)
log = structlog.get_logger(__name__)


def _choose(config: Any, context: str) -> None:
    """Raises ConfigException, with what there is to choose from, where no context can be taken."""
    contexts = config.get("contexts")
    # Entries of merged files are the library's nodes.
    entries = [getattr(each, "value", each) for each in contexts] if isinstance(contexts, list) else []
    known = [each.get("name") for each in entries if isinstance(each, dict)]
    there = f"it has {', '.join(map(str, known))}" if known else "it has none"
    name = context or config.get("current-context")
    if not name:
        raise ConfigException(f"no context is chosen (current-context); {there}")
    if name not in known:
        raise ConfigException(f"no context has the name {name}; {there}")


class Loader(KubeConfigLoader):
    """Reads merged files; a refreshed token goes back into the file it came from, as kubectl does: some work once only."""

    def __init__(self, paths: str, context: str) -> None:
        """`paths` as in `$KUBECONFIG`; an empty context is the current one. Raises ConfigException."""
        self._files = KubeConfigMerger(paths)
        merged = self._files.config
        _choose(merged.value if merged is not None else {}, context)
        super().__init__(
            config_dict=self._files.config, config_base_path=None, active_context=context or None
        )

    async def _refresh_oidc(self, provider: Any) -> None:
        given = provider["config"]
        if "refresh-token" not in given:
            raise ConfigException("oidc: no valid id-token, and no refresh-token to get one with")
        issuer = str(given["idp-issuer-url"]).rstrip("/")
        login = aiohttp.encode_basic_auth(given["client-id"], given.value.get("client-secret", ""))
        grant = {"grant_type": "refresh_token", "refresh_token": given["refresh-token"]}
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trust(provider)),
                headers={"Accept": "application/json"},
                timeout=_ISSUER_TIMEOUT,
                raise_for_status=True,
                trust_env=True,
            ) as http:
                async with http.get(f"{issuer}/.well-known/openid-configuration") as answer:
                    endpoint = (await answer.json())["token_endpoint"]
                async with http.post(endpoint, data=grant, headers={"Authorization": login}) as answer:
                    tokens = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConfigException(f"oidc: {issuer} gives no token: {error}") from error
        given.value["id-token"] = tokens["id_token"]
        given.value["refresh-token"] = tokens.get("refresh_token", given["refresh-token"])
        try:
            self._files.save_changes()
        except OSError as error:
            log.warning("cannot write the refreshed OIDC token into the kubeconfig", error=str(error))

    def _trust(self, provider: Any) -> ssl.SSLContext:
        own = self._retrieve_oidc_cacert(provider)
        return ssl.create_default_context(cadata=own.decode() if own else None)
