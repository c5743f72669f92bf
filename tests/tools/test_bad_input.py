"""What each command says to what it cannot do: one clear sentence, and the exit code that docs/reference.md gives."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from aioctl.api import kinds
from aioctl.cli import main
from aioctl.kube.client import Client
from aioctl.sim import seed
from aioctl.sim.api import SimCluster
from aioctl.sim.errors import forbidden
from aioctl.sim.faults import Match
from aioctl.sim.memory import MemoryWire
from aioctl.tools import connect, writing
from aioctl.tools.access import Access
from aioctl.tools.connect import Connection
from testbed.world import plain_service

READS = (("status",), ("explain",), ("diff", "-A"), ("status", "one"), ("explain", "one"), ("diff", "one"))
WRITES = (
    ("pause", "one"),
    ("resume", "-A"),
    ("strategy", "one", "swap"),
    ("rollout", "-A"),
    ("stop", "-l", "a=b"),
    ("start", "one"),
    ("unlock", "one"),
    ("finish", "-A"),
)
OURS = (kinds.SERVICE.resource, kinds.CONFIG.resource)
NO_CRD = (
    "Error: the cluster does not serve llminferenceservices.serving.kserve.io v1alpha2: its CRDs are not installed, "
    "or are those of an earlier KServe; `aioctl check --pre` says which\n"
)


def cluster_for(
    monkeypatch: pytest.MonkeyPatch,
    *absent: str,
    faults: tuple[Match, ...] = (),
    stored: tuple[str, ...] = (),
) -> None:
    """Each command connects to an empty cluster of its own, or one with such services."""

    @asynccontextmanager
    async def connected(access: Access) -> AsyncIterator[Connection]:
        try:
            async with SimCluster(absent=absent) as cluster:
                for match in faults:
                    no = forbidden(kinds.SERVICE.resource, kinds.SERVICE.group, "", "no")
                    cluster.faults.fail(match, no, times=0)
                client = Client(MemoryWire(cluster, agent="user"), patience=0.0)
                if stored:
                    for obj in seed.world():
                        await cluster.create(obj, client="user")
                for name in stored:
                    await client.create(kinds.SERVICE, "demo", plain_service(name))
                yield Connection(
                    client, "https://stage", "" if access.everywhere else access.namespace or "demo"
                )
        except ExceptionGroup as group:
            raise group.exceptions[0] from group  # the cluster's own task group wraps it

    monkeypatch.setattr(connect, "connected", connected)


def run(*words: str) -> Result:
    done = CliRunner().invoke(main, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.mark.parametrize("words", [*READS, *WRITES], ids=" ".join)
def test_a_cluster_without_our_crds_is_one_sentence(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_for(monkeypatch, *OURS)
    done = run(*words)
    assert (done.exit_code, done.stderr) == (3, NO_CRD)
    assert done.stdout == ""


def test_what_looks_at_the_installation_tells_that_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_for(monkeypatch, *OURS)
    done = run("check", "-o", "name")
    assert done.exit_code == 1
    assert "AIO-CRD-001" in done.stdout
    assert "AIO-LEAD-001" in done.stdout
    done = run("version")
    assert done.exit_code == 0
    assert "llminferenceservices.serving.kserve.io: not installed" in done.stdout
    done = run("storage", "status")
    assert done.exit_code == 3
    assert "CRD llminferenceservices.serving.kserve.io is not installed" in done.stdout


def test_what_may_not_be_read_is_not_told_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_for(monkeypatch, faults=(Match(),))
    told = run("version").stdout.splitlines()
    assert {"controller   not known", "leader       not known"} <= set(told)
    assert len(told) == len(set(told)), "each sentence once"
    done = run("check", "--pre")
    assert done.exit_code == 3
    assert not [line for line in done.stdout.splitlines() if line.startswith("ok")]
    done = run("storage", "status")
    assert done.exit_code == 3
    assert "nobody" not in done.stdout


@pytest.mark.parametrize("words", READS[3:] + WRITES[:1] + WRITES[2:3] + WRITES[6:7], ids=" ".join)
def test_an_unknown_service_is_one_sentence(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_for(monkeypatch)
    done = run(*words)
    assert (done.exit_code, done.stderr) == (2, 'Error: no LLMInferenceService "one" in namespace demo\n')


@pytest.mark.parametrize("verb", ["status", "explain", "diff", "pause", "rollout"])
def test_where_no_service_is_the_answer_says_where_it_looked(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_for(monkeypatch)
    for words, said in (
        (("-l", "a=b"), "no services with labels a=b in namespace demo; -A means all\n"),
        (("-A",), "no services in any namespace\n"),
    ):
        done = run(verb, *words)
        assert (done.exit_code, done.stdout.splitlines(keepends=True)[-1]) == (0, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo", "--timeout", "nan"), "'--timeout': 'nan' is no number in the range 1<=x<=3600."),
        (("demo", "--services", "1.5"), "'--services': '1.5' is no whole number in the range 1<=x<=5000."),
        (("finish", "--timeout", "2m"), "'--timeout': '2m' is no number in the range 1<=x<=3600."),
        (("storage", "migrate", "--rate", "NaN"), "'--rate': 'NaN' is no number in the range 0<=x<=1000."),
        (("storage", "migrate", "--rate", "inf"), "'--rate': inf is not in the range 0<=x<=1000."),
        (("ui", "--port", "http"), "'--port': 'http' is no whole number in the range 0<=x<=65535."),
    ],
    ids=str,
)
def test_a_number_that_is_none_names_the_option_and_its_range(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"Error: Invalid value for {said}"


LIST = """\
apiVersion: v1
kind: List
items:
- apiVersion: serving.kserve.io/v1alpha2
  kind: LLMInferenceService
  metadata: {name: one, namespace: demo}
  spec: {modell: {}, model: {uri: "hf://a/b", name: b}}
"""


@pytest.mark.parametrize("command", ["render", "check", "diff"])
@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_list_as_kubectl_writes_it_is_its_items_and_what_is_misspelled_is_told(
    command: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_for(monkeypatch)
    text = LIST if ending == "yaml" else json.dumps(yaml.safe_load(LIST))
    (tmp_path / f"list.{ending}").write_text(text)
    done = run(command, "-f", str(tmp_path))
    assert done.exit_code == 1
    assert "spec.modell" in done.output
    assert "one" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "-n", "x/../y"), '-n "x/../y"'),
        (("pause", "one", "-n", "A b"), '-n "A b"'),
        (("finish", "-n", ".."), '-n ".."'),
        (("check", "--system-namespace", "a/b"), '--system-namespace "a/b"'),
        (("diff", "one"), 'the context\'s namespace "c/d"'),
    ],
    ids=str,
)
def test_what_is_no_name_of_a_namespace_is_told_before_anything_is_asked(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(TWO.replace("user: u}}", "user: u, namespace: c/d}}") + "current-context: a\n")
    done = run(*words, "--kubeconfig", str(path))
    form = "a namespace has lower-case letters, digits and '-', at most 63 characters"
    assert (done.exit_code, done.stderr) == (2, f"Error: {said}: {form}\n")


@pytest.mark.parametrize("name", ["a/../b", "..", "One", "%2e"])
def test_what_no_service_can_be_called_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_for(monkeypatch)
    for words in (("status", name), ("pause", name), ("strategy", name, "swap"), ("unlock", name)):
        done = run(*words)
        assert (done.exit_code, done.stderr) == (
            2,
            f'Error: no LLMInferenceService "{name}" in namespace demo\n',
        )


def test_unlock_does_nothing_where_one_of_the_names_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        raise AssertionError("unlocked")

    cluster_for(monkeypatch, stored=("one",))
    monkeypatch.setattr(writing, "unlock", never)
    done = run("unlock", "one", "two", "--yes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert 'no LLMInferenceService "two"' in done.stderr


@pytest.mark.parametrize(
    ("words", "verb"),
    [(("status",), "list"), (("explain",), "list"), (("diff", "-A"), "list"), (("pause", "-A"), "list"),
     (("pause", "one"), "get"), (("finish",), "list")],
    ids=str,
)  # fmt: skip
def test_no_access_names_the_verb_and_the_resource(
    words: tuple[str, ...], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_for(monkeypatch, faults=(Match(resource="llminferenceservices"),))
    done = run(*words)
    assert done.exit_code == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: no access: you may not {verb} llminferenceservices.serving.kserve.io")
    assert f"`kubectl auth can-i {verb} llminferenceservices.serving.kserve.io`" in line


TWO = """\
apiVersion: v1
kind: Config
clusters:
- {name: a, cluster: {server: "http://127.0.0.1:1"}}
- {name: b, cluster: {server: "http://127.0.0.1:2"}}
contexts:
- {name: a, context: {cluster: a, user: u}}
- {name: b, context: {cluster: b, user: u}}
users: [{name: u, user: {}}]
"""


@pytest.mark.parametrize(
    ("current", "words", "server"),
    [("a", (), "127.0.0.1:1"), ("a", ("--context", "b"), "127.0.0.1:2"), ("b", (), "127.0.0.1:2")],
)
def test_of_two_contexts_the_one_that_is_meant_is_asked(
    current: str, words: tuple[str, ...], server: str, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"{TWO}current-context: {current}\n")
    done = run("status", "--kubeconfig", str(tmp_path / "config"), *words)
    assert done.exit_code == 3
    assert f"cluster http://{server} cannot be reached" in done.stderr


def test_of_two_contexts_without_a_current_one_none_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(TWO)
    done = run("status", "--kubeconfig", str(tmp_path / "config"))
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "context" in line
