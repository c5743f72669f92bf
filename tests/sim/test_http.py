"""Over real sockets: requests, watches, webhooks over TLS, and the process of its own."""

import base64
import io
import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import anyio
import pytest
import trustme
import yaml
from aiohttp import web

from aioctl.sim.api import SimCluster
from aioctl.sim.faults import Match
from aioctl.sim.hooks import install_webhooks
from aioctl.sim.http import kubeconfig, serve
from aioctl.sim.webhooks import HookTarget, HttpsWebhooks
from tests.sim.driver import SERVICES, Driver, allow, config_map, relabel, service

MAPS = "/api/v1/namespaces/default/configmaps"


async def test_objects_and_watches_travel_over_sockets() -> None:
    async with (
        SimCluster() as sim,
        serve(sim) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        async with client.post(MAPS, json=config_map("a", x="1")) as answer:
            assert answer.status == 201
        async with client.get(MAPS, params={"watch": "true", "resourceVersion": "0"}) as stream:
            line = json.loads(await stream.content.readline())
            assert (line["type"], line["object"]["data"]) == ("ADDED", {"x": "1"})
            async with client.delete(f"{MAPS}/a") as answer:
                assert answer.status == 200
            assert json.loads(await stream.content.readline())["type"] == "DELETED"
            assert sim.stats.watches == 1
            closed = anyio.Event()
            sim.watch_ends = closed.set
        with anyio.fail_after(5):
            await closed.wait()
        assert sim.stats.watches == 0


@pytest.mark.parametrize(
    ("size", "status"), [(1 << 20, 201), (2_000_000, 422), (3 << 20, 413), (9 << 20, 413)]
)
async def test_a_large_body_is_read_whole_and_judged(size: int, status: int) -> None:
    async with (
        SimCluster() as sim,
        serve(sim) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
        client.post(MAPS, data=io.BytesIO(json.dumps(config_map("a", x="y" * size)).encode())) as answer,
    ):
        assert answer.status == status
        assert (await answer.json())["metadata"] is not None


async def test_a_lost_answer_breaks_the_connection() -> None:
    async with (
        SimCluster() as sim,
        serve(sim) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        sim.faults.lose(Match(verb="create"), times=0)
        with pytest.raises(aiohttp.ClientError):
            await client.post(MAPS, json=config_map("a"))
        async with client.get(f"{MAPS}/a") as answer:
            assert answer.status == 200


async def test_reviews_travel_over_tls_with_the_bundle_of_the_crd() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    paths: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        paths.append(f"{request.path}?{request.query_string} {request.version.major}.{request.version.minor}")
        handler = relabel if request.path == "/convert" else allow
        return web.Response(body=await handler(await request.read()), content_type="application/json")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
    try:
        async with HttpsWebhooks() as hooks, SimCluster(webhooks=hooks) as sim:
            api = Driver(sim)
            await sim.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
            await install_webhooks(sim, url, bundle, match_policy="Exact")
            made = await api("POST", SERVICES.format(version="v1alpha1"), service(version="v1alpha1"))
            assert made.status == 201, made.message
            assert "/convert?timeout=30s 1.1" in paths
            assert "/validate-serving-kserve-io-v1alpha1-llminferenceservice?timeout=10s 1.1" in paths
            wrong = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/llminferenceservices.serving.kserve.io"
            clause = {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": wrong}}}}}
            await api.merge(path, clause)
            refused = await api.get(SERVICES.format(version="v1alpha1") + "/svc")
            assert refused.status == 500
            assert "certificate verify failed" in refused.message
    finally:
        await runner.cleanup()


async def test_a_burst_of_reviews_keeps_at_most_25_idle_connections() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    crowd, everybody = 0, anyio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal crowd
        crowd += 1
        if crowd == 60:
            everybody.set()
        await everybody.wait()
        return web.Response(body=await request.read())

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, backlog=128).start()
    target = HookTarget(
        f"https://127.0.0.1:{runner.addresses[0][1]}/convert", ca_bundle=authority.cert_pem.bytes()
    )
    try:
        async with HttpsWebhooks() as hooks, anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(lambda: hooks.call(target, b"{}", seconds=30))
            await everybody.wait()
            assert len(server.connections) == 60
            with anyio.fail_after(5):
                while len(server.connections) > 25:  # noqa: ASYNC110 -- other side of a socket
                    await anyio.sleep(0.01)
            assert len(server.connections) == 25
    finally:
        await runner.cleanup()


def test_a_kubeconfig_names_the_server() -> None:
    config = yaml.safe_load(kubeconfig("http://127.0.0.1:1234", namespace="n"))
    assert config["clusters"][0]["cluster"]["server"] == "http://127.0.0.1:1234"
    assert config["contexts"][0]["context"]["namespace"] == "n"


@pytest.mark.parametrize("how", ["signal", "stdin"])
def test_the_process_announces_itself_and_ends(tmp_path: Path, how: str) -> None:
    config = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "aioctl.sim", "--kubeconfig", str(config)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        assert str(ready["port"]) in config.read_text()
        if how == "signal":
            os.kill(process.pid, signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == b""
