"""OIDC of a kubeconfig: the identity token is used while it lasts, refreshed at the issuer, and written back. Through
the real library, against an issuer on loopback."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from aiohttp import web
from kubernetes_asyncio.config.kube_config import KubeConfigMerger

from aioctl.kube import config as config_module
from aioctl.kube.config import ConfigError
from tests.kube.test_config import kubeconfig, load

# The library's own: naive times.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")
LONG_AGO, LATER = 946_684_800, 32_472_144_000
"""Seconds since the epoch: the years 2000 and 2999."""


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at credentials finds them due, so that no test waits for a minute."""
    monkeypatch.setattr(config_module, "REFRESH", 0.0)
    monkeypatch.setattr(config_module, "_RENEW_AT_MOST", 0.0)


def identity(name: str, expires: int) -> str:
    """A token that nobody signed: clients read nothing of it but its end."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": name, "exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{claims}.{name}"


@dataclass
class Issuer:
    """Gives a new token for the refresh token `refresh-<n>`, once."""

    address: str = ""
    refuses: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)

    async def metadata(self, _: web.Request) -> web.Response:
        return web.json_response({"token_endpoint": f"{self.address}/token"})

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        self.clients.append(base64.b64decode(request.headers["Authorization"].split()[1]).decode())
        if self.refuses:
            return web.json_response({"error": "invalid_grant"}, status=400)
        number = len(self.asked)
        new = {"id_token": identity(f"new-{number}", LATER), "refresh_token": f"refresh-{number + 1}"}
        return web.json_response(new)


@asynccontextmanager
async def issuing(tls: ssl.SSLContext | None = None) -> AsyncIterator[Issuer]:
    issuer, app = Issuer(), web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.metadata)
    app.router.add_post("/token", issuer.token)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        issuer.address = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()


def user(issuer: Issuer, **config: str) -> dict[str, Any]:
    given = {
        "client-id": "aioctl",
        "client-secret": "quiet",
        "idp-issuer-url": issuer.address,
        "refresh-token": "refresh-1",
        **config,
    }
    return {"auth-provider": {"name": "oidc", "config": given}}


async def test_a_token_that_lasts_is_used_as_it_is(tmp_path: Path) -> None:
    async with issuing() as issuer:
        token = identity("me", LATER)
        found = await load(
            kubeconfig(tmp_path / "config", user=user(issuer, **{"id-token": token}), server="http://one")
        )
        assert await found.credentials.authorization() == f"Bearer {token}"
    assert issuer.asked == []


@pytest.mark.parametrize("config", [{"id-token": identity("me", LONG_AGO)}, {}], ids=["expired", "none"])
async def test_a_token_is_fetched_from_the_issuer_and_written_back(
    tmp_path: Path, config: dict[str, str]
) -> None:
    path = tmp_path / "config"
    async with issuing() as issuer:
        found = await load(kubeconfig(path, user=user(issuer, **config), server="http://one"))
        assert await found.credentials.authorization() == f"Bearer {identity('new-1', LATER)}"
    assert issuer.asked == [{"grant_type": "refresh_token", "refresh_token": "refresh-1"}]
    assert issuer.clients == ["aioctl:quiet"]
    kept = yaml.safe_load(path.read_text())["users"][0]["user"]["auth-provider"]["config"]
    assert (kept["id-token"], kept["refresh-token"]) == (identity("new-1", LATER), "refresh-2")


async def test_an_issuer_that_refuses_is_named(tmp_path: Path) -> None:
    async with issuing() as issuer:
        issuer.refuses = True
        path = kubeconfig(tmp_path / "config", user=user(issuer), server="http://one")
        with pytest.raises(ConfigError, match=r"oidc: http://127\.0\.0\.1:.* gives no token: 400"):
            await load(path)


async def test_without_a_refresh_token_the_error_says_so(tmp_path: Path) -> None:
    async with issuing() as issuer:
        given = user(issuer, **{"id-token": identity("me", LONG_AGO)})
        del given["auth-provider"]["config"]["refresh-token"]
        with pytest.raises(ConfigError, match="no refresh-token to get one with"):
            await load(kubeconfig(tmp_path / "config", user=given, server="http://one"))
    assert issuer.asked == []


async def test_an_issuer_is_trusted_by_its_own_authority_only(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
    async with issuing(tls) as issuer:
        given = user(issuer, **{"idp-certificate-authority-data": bundle})
        found = await load(kubeconfig(tmp_path / "config", user=given, server="http://one"))
        assert await found.credentials.authorization() == f"Bearer {identity('new-1', LATER)}"
        with pytest.raises(ConfigError, match=r"oidc: .*certificate verify failed"):
            await load(kubeconfig(tmp_path / "other", user=user(issuer), server="http://one"))
    assert len(issuer.asked) == 1


async def test_a_file_that_cannot_be_written_does_not_stop_the_use_of_a_new_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: KubeConfigMerger, path: str) -> None:
        raise PermissionError(f"{path}: read-only")

    monkeypatch.setattr(KubeConfigMerger, "save_config", refuse)
    async with issuing() as issuer:
        found = await load(kubeconfig(tmp_path / "config", user=user(issuer), server="http://one"))
        token = await found.credentials.authorization()
    assert token == f"Bearer {identity(f'new-{len(issuer.asked)}', LATER)}"
