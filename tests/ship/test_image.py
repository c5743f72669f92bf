"""The Dockerfile's steps on the file system, since no image can be built here: what they make runs as the Deployment runs it.

`release/image.sh` makes /opt/aioctl. A root of its own then holds that, the interpreter and its libraries, read-only; /tmp
is empty, and the program runs there as user 1000. Neither this repository nor a development package is in that root.
"""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from aioctl import __version__
from aioctl.api import kinds
from aioctl.api.objects import dig
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.sim import fleet, seed
from release import lock
from testbed.observed import DEPLOY
from tests.deploy.manifests import deployment
from tests.ship.test_prometheus import eventually

pytestmark = pytest.mark.ship
DOCKERFILE = DEPLOY.parent / "Dockerfile"
LIMIT = 130 << 20
"""Bytes of /opt/aioctl, compiled modules included; 112 MiB when this was written."""
SYSTEM = ("/usr", "/lib", "/lib64", "/bin")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/opt/aioctl of the image, in a folder."""
    _needs_namespaces()
    root = tmp_path_factory.mktemp("image") / "root"
    (root / "opt" / "aioctl").mkdir(parents=True)
    # Made where it will be: an environment knows its own path.
    script = (
        f'mkdir -p /opt/aioctl && mount --bind "{root}/opt/aioctl" /opt/aioctl '
        f'&& exec "{DEPLOY.parent}/release/image.sh" /opt/aioctl'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHON": sys._base_executable, "SOURCE_DATE_EPOCH": "315532800"},  # type: ignore[attr-defined]
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return root


def _needs_namespaces() -> None:
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no mount namespace can be made here: {done.stderr.strip()}")


def in_image(root: Path, command: Sequence[str], **environment: str) -> list[str]:
    """The command line that runs something in the image's root as the Deployment's user."""
    user = deployment()["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    # A mount of its own, so that it can be made read-only; entered anew, for what is mounted there now.
    lines = [f'mount --bind "{root}" "{root}"', f'cd "{root}"', "mkdir -p tmp proc dev etc"]
    for path in dict.fromkeys((*SYSTEM, sys.base_prefix)):
        if Path(path).exists():
            lines += [f"mkdir -p .{path}", f"mount --bind -o ro {path} .{path}"]
    lines += [
        "mount -t tmpfs -o mode=1777 tmpfs tmp",
        "mount --rbind /dev dev",
        "mount -t proc proc proc",
        "mount -o remount,bind,ro .",
    ]
    settings = " ".join(
        f"{name}={value}" for name, value in {"PATH": "/opt/aioctl/bin", **environment}.items()
    )
    lines.append(f"exec chroot --userspec={user}:{user} . /usr/bin/env -i {settings} {' '.join(command)}")
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", "\n".join(lines)]


def installed(root: Path) -> dict[str, str]:
    """Name -> version of every package in the image."""
    (site,) = (root / "opt" / "aioctl" / "lib").glob("python*/site-packages")
    names = (re.fullmatch(r"(.+)-([^-]+)\.dist-info", path.name) for path in site.glob("*.dist-info"))
    return {lock.normalized(match[1]): match[2] for match in names if match is not None}


def test_it_holds_the_locked_packages_that_run_and_no_other(made: Path) -> None:
    run = lock.needed(lock.read(), lock.wanted("run"))
    wanted = {
        name: package.version
        for name, package in run.items()
        if not package.marker.startswith("sys_platform")
    }
    assert installed(made) == {**wanted, "aioctl": __version__}


def test_it_is_no_larger_than_it_was(made: Path) -> None:
    size = sum(path.lstat().st_size for path in (made / "opt").rglob("*"))
    assert 20 << 20 < size < LIMIT, f"{size / 2**20:.0f} MiB"


def test_every_package_has_a_file_for_both_platforms(tmp_path: Path) -> None:
    """The lock's own hashes: what cannot be had for arm64 would fail the second half of a multi-arch build."""
    requirements = tmp_path / "run.lock"
    requirements.write_text(
        "".join(package.text for package in lock.needed(lock.read(), lock.wanted("run")).values())
    )
    for machine in ("x86_64", "aarch64"):
        platforms = [f"--platform=manylinux{tag}_{machine}" for tag in ("_2_17", "2014", "_2_28", "_2_34")]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--require-hashes", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp", *platforms,
             f"--target={tmp_path}/{machine}", "--requirement", str(requirements)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


async def test_it_runs_as_user_1000_on_a_read_only_root(made: Path, tmp_path: Path) -> None:
    ports = processes.Ports.free()
    certificates = processes.write_certificates(tmp_path)
    async with processes.cluster(
        tmp_path, ports, certificates, ["--scenario", "demo", "--gateway-delay", "0.1"]
    ):
        etc = made / "etc"
        etc.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "kubeconfig", etc / "kubeconfig")
        shutil.copytree(certificates, etc / "certificates")
        for path in etc.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        environment = {
            # As container runtimes set it for a user that no file names.
            "HOME": "/",
            "KUBECONFIG": "/etc/kubeconfig",
            "AIOCTL_CERT_DIR": "/etc/certificates",
            "AIOCTL_WEBHOOK_HOST": "127.0.0.1",
            "AIOCTL_WEBHOOK_PORT": str(ports.webhook),
            "AIOCTL_METRICS_PORT": str(ports.metrics),
            "AIOCTL_HEALTH_PORT": str(ports.health),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        command = in_image(made, ["aioctl", "run"], **environment)
        async with processes.process("image", command, tmp_path) as running, httpx.AsyncClient() as http:
            config = await load_config(str(tmp_path / "kubeconfig"))
            client = Client(config.wire())

            async def ready() -> bool:
                assert running.returncode is None, processes.tail(tmp_path / "image.log")
                with contextlib.suppress(httpx.HTTPError):
                    answer = await http.get(f"http://127.0.0.1:{ports.health}/readyz", timeout=5)
                    return answer.status_code == httpx.codes.OK
                return False

            async def migrated() -> bool:
                service = await client.get(kinds.SERVICE, seed.DEMO_NAMESPACE, name)
                return dig(service, "status", "observedGeneration") is not None

            try:
                await eventually(ready, "it is ready")
                await processes.install_presets(client)
                (service,) = fleet.services(1)
                name = service["metadata"]["name"]
                kind = kinds.SERVICE_V1ALPHA1 if service["apiVersion"] == kinds.V1ALPHA1 else kinds.SERVICE
                await client.create(kind, seed.DEMO_NAMESPACE, service)
                await eventually(migrated, "a service is reconciled")
            finally:
                await client.aclose()


def test_nothing_but_tmp_can_be_written(made: Path) -> None:
    program = (
        "import os,pathlib\n"
        "assert os.getuid() == 1000\n"
        "assert os.listdir('/tmp') == []\n"
        "pathlib.Path('/tmp/x').write_text('x')\n"
        "for place in ('/x', '/opt/aioctl/x', '/etc/x'):\n"
        "    try:\n"
        "        pathlib.Path(place).write_text('x')\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
    )
    (made / "etc").mkdir(exist_ok=True)
    (made / "etc" / "try.py").write_text(program)
    done = subprocess.run(
        in_image(made, ["python", "/etc/try.py"]), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["30"] * 3), done.stderr  # EROFS


def test_the_dockerfile_does_just_that() -> None:
    text = DOCKERFILE.read_text()
    assert re.findall(r"^RUN (.*)$", text, re.MULTILINE) == ["release/image.sh /opt/aioctl"]
    # Nothing needs a shell in the second stage.
    last = text.rpartition("\nFROM ")[2]
    assert "RUN" not in last
    assert 'ENTRYPOINT ["aioctl"]' in last
    for label in ("title", "source", "licenses", "version", "revision", "created"):
        assert f"org.opencontainers.image.{label}=" in last
