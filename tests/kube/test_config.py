"""Where the API server is found, and how credentials stay fresh: through the real library, on files of the test."""

import base64
import json
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from aioctl.kube import config as config_module
from aioctl.kube.config import ClusterConfig, ConfigError, load_config
from aioctl.kube.http import HttpWire


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at credentials finds them due, so that no test waits for a minute."""
    monkeypatch.setattr(config_module, "REFRESH", 0.0)
    monkeypatch.setattr(config_module, "_RENEW_AT_MOST", 0.0)


def kubeconfig(
    path: Path,
    *,
    user: Mapping[str, Any],
    server: str = "https://cluster.example:6443",
    cluster: Mapping[str, Any] | None = None,
    name: str = "one",
    namespace: str = "",
) -> Path:
    context = {"cluster": name, "user": name, **({"namespace": namespace} if namespace else {})}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, **(cluster or {})}}],
        "contexts": [{"name": name, "context": context}],
        "users": [{"name": name, "user": dict(user)}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


async def load(path: Path | str, **options: Any) -> ClusterConfig:
    return await load_config(environ={"KUBECONFIG": str(path)}, **options)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_a_token_and_an_authority_come_from_the_current_context(tmp_path: Path) -> None:
    ca = trustme.CA()
    cluster = {"certificate-authority-data": b64(ca.cert_pem.bytes()), "tls-server-name": "inside"}
    path = kubeconfig(tmp_path / "config", user={"token": "abc"}, cluster=cluster, namespace="team")
    found = await load(path)
    assert found.server == "https://cluster.example:6443"
    assert found.namespace == "team"
    assert found.server_hostname == "inside"
    assert await found.credentials.authorization() == "Bearer abc"
    assert found.ssl_context is not None
    assert found.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert len(found.ssl_context.get_ca_certs()) == 1


async def test_plain_http_needs_no_tls(tmp_path: Path) -> None:
    found = await load(kubeconfig(tmp_path / "config", user={}, server="http://127.0.0.1:8001/"))
    assert (found.server, found.ssl_context) == ("http://127.0.0.1:8001", None)
    assert await found.credentials.authorization() == ""


async def test_verification_is_off_only_where_the_file_says_so(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={}, cluster={"insecure-skip-tls-verify": True})
    context = (await load(path)).ssl_context
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE


async def test_a_client_certificate_is_presented(tmp_path: Path) -> None:
    pair = trustme.CA().issue_cert("client")
    user = {
        "client-certificate-data": b64(b"".join(pem.bytes() for pem in pair.cert_chain_pems)),
        "client-key-data": b64(pair.private_key_pem.bytes()),
    }
    found = await load(kubeconfig(tmp_path / "config", user=user))
    assert found.ssl_context is not None
    assert await found.credentials.authorization() == ""
    # Its file may have been renewed: a 401 loads it again and is worth another try.
    assert await found.credentials.renew("")


async def test_a_list_of_files_is_merged_and_missing_ones_are_skipped(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "one", user={"token": "1"}, server="http://one")
    second = kubeconfig(tmp_path / "two", user={"token": "2"}, server="http://two", name="two")
    paths = os.pathsep.join([str(first), str(tmp_path / "missing"), str(second)])
    found = await load(paths, context="two")
    assert found.server == "http://two"
    assert await found.credentials.authorization() == "Bearer 2"
    assert (await load(paths, context="one")).server == "http://one"


async def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    found = await load(kubeconfig(tmp_path / "config", user={"tokenFile": str(token)}))
    assert await found.credentials.authorization() == "Bearer old"
    token.write_text("new")
    assert await found.credentials.authorization() == "Bearer new"


async def test_a_401_reads_the_configuration_again_and_says_whether_that_helped(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"token": "old"}, server="http://one")
    found = await load(path)
    assert not await found.credentials.renew("Bearer old")
    kubeconfig(path, user={"token": "new"}, server="http://one")
    assert await found.credentials.renew("Bearer old")
    assert await found.credentials.authorization() == "Bearer new"


async def test_a_configuration_that_breaks_while_running_keeps_the_old_credentials(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"token": "old"}, server="http://one")
    found = await load(path)
    path.write_text("{half a fi")
    assert await found.credentials.authorization() == "Bearer old"


def exec_plugin(tmp_path: Path, *, expiry: str | None) -> dict[str, Any]:
    """A plugin that hands out token-1, token-2, ... and so shows how often it ran."""
    script, counter = tmp_path / "plugin", tmp_path / "count"
    status: dict[str, Any] = {"expirationTimestamp": expiry} if expiry else {}
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib\n"
        f"counter = pathlib.Path({str(counter)!r})\n"
        "runs = int(counter.read_text()) + 1 if counter.exists() else 1\n"
        "counter.write_text(str(runs))\n"
        f"status = {{**json.loads({json.dumps(json.dumps(status))}), 'token': f'token-{{runs}}'}}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential',"
        " 'status': status}))\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}}


@pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")
@pytest.mark.parametrize(
    ("expiry", "then"),
    [(None, "token-1"), ("2999-01-01T00:00:00Z", "token-1"), ("2000-01-01T00:00:00Z", "token-2")],
)
async def test_an_exec_plugin_runs_again_only_when_its_token_expires_or_is_refused(
    tmp_path: Path, expiry: str | None, then: str
) -> None:
    found = await load(
        kubeconfig(tmp_path / "config", user=exec_plugin(tmp_path, expiry=expiry), server="http://one")
    )
    assert await found.credentials.authorization() == f"Bearer {then}"
    assert await found.credentials.renew(f"Bearer {then}")
    assert (tmp_path / "count").read_text() > then[-1]


async def test_a_plugin_that_fails_is_named(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(tmp_path / "no-such")}}
    with pytest.raises(ConfigError, match="no-such"):
        await load(kubeconfig(tmp_path / "config", user=user))


def service_account(tmp_path: Path) -> Path:
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("abc\n")
    (account / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
    (account / "namespace").write_text("kserve")
    return account


IN_POD = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}


async def test_a_pod_uses_its_service_account_and_follows_its_token(tmp_path: Path) -> None:
    account = service_account(tmp_path)
    found = await load_config(environ=IN_POD, account=account)
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "kserve")
    assert await found.credentials.authorization() == "Bearer abc"
    (account / "token").write_text("def")
    assert await found.credentials.authorization() == "Bearer def"


async def test_an_explicit_kubeconfig_wins_over_the_environment_and_that_over_the_pod(tmp_path: Path) -> None:
    account = service_account(tmp_path)
    first = kubeconfig(tmp_path / "one", user={}, server="http://one")
    second = kubeconfig(tmp_path / "two", user={}, server="http://two")
    environ = {**IN_POD, "KUBECONFIG": str(second)}
    assert (await load_config(str(first), environ=environ, account=account)).server == "http://one"
    assert (await load_config(environ=environ, account=account)).server == "http://two"


async def test_the_home_directory_is_looked_at_last(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", user={}, server="http://home")
    assert (await load_config(environ={"HOME": str(tmp_path)})).server == "http://home"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "no such file"),
        ("{half a fi", "config: is no YAML: line 1, column 11: "),
        ("a: \tb: [", "config: is no YAML: line 1, column "),
        ("current-context: x\ncontexts: []\nclusters: []\n", "no context has the name x; it has none"),
        ("current-context: x\ncontexts: [{name: y}, {name: z}]\n", "no context has the name x; it has y, z"),
        ("contexts: [{name: y}]\n", r"no context is chosen \(current-context\); it has y"),
        ("contexts: many\n", "Invalid kube-config file"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n",
            "Expected object with name c",
        ),
        ("", "config: is empty, or does not have"),
        (":::garbage", "does not have the expected form"),
        ("- a list\n", "does not have the expected form"),
        ("\x00", "special characters are not allowed"),
    ],
)
async def test_a_configuration_that_cannot_be_used_is_named(
    tmp_path: Path, content: str | None, text: str
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=text) as caught:
        await load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_server_without_a_scheme_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={}, server="10.0.0.1:6443")
    with pytest.raises(ConfigError, match=r"server 10\.0\.0\.1:6443 of the cluster begins with neither"):
        await load(path)


@pytest.mark.parametrize(
    "user",
    [
        {"tokenFile": "/nowhere/thing"},
        {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "/nowhere/thing",
                "interactiveMode": "Never",
            }
        },
    ],
)
async def test_what_a_user_names_and_is_not_there_is_named(tmp_path: Path, user: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError, match="names /nowhere/thing, which cannot be used: No such file or directory"
    ):
        await load(kubeconfig(tmp_path / "config", user=user, server="http://one"))


async def test_a_folder_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file, or one that may not be read"):
        await load(tmp_path)


async def test_without_any_configuration_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set KUBECONFIG"):
        await load_config(environ={"HOME": str(tmp_path)})


async def test_a_broken_authority_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={}, cluster={"certificate-authority-data": b64(b"nonsense")})
    with pytest.raises(ConfigError, match="certificates"):
        await load(path)


async def test_a_configuration_makes_its_wire(tmp_path: Path) -> None:
    found = await load(kubeconfig(tmp_path / "config", user={"token": "abc"}))
    wire = found.wire()
    assert isinstance(wire, HttpWire)
    await wire.aclose()


def test_the_library_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, aioctl.kube.config; sys.exit('kubernetes_asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
