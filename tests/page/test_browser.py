"""The operators' page in a headless Chromium: by keyboard and on a phone, light and dark, with hostile words, and while a fleet
of the demo migrates. Screenshots go to dist/screenshots, or to $AIOCTL_SCREENSHOTS.

Rules: UI-1.
"""

import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession

from aioctl.api import kinds
from aioctl.api.names import MIGRATION_STRATEGY
from aioctl.api.objects import name_of, namespace_of
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.plan.migration import State
from aioctl.serving.board import Board
from aioctl.serving.operators_page import STREAMS_PER_PEER, OperatorsPage, PageServer
from aioctl.sim import fleet
from tests.page import odd_fleet
from tests.page.chromium import Tab, executable, tab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        executable() is None, reason="no chromium on the path (Debian: apt-get install chromium)"
    ),
]
SCREENSHOTS = Path(
    os.environ.get("AIOCTL_SCREENSHOTS") or Path(__file__).parent.parent.parent / "dist" / "screenshots"
)
WIDE: dict[str, Any] = {"width": 1440, "height": 900}
PHONE: dict[str, Any] = {"width": 390, "height": 844, "phone": True}
LOADED = (
    "document.querySelectorAll('canvas').length > 2 && document.querySelector('#live').innerText === 'live'"
)
SERVICES = 6

CONTRASTS = """
(() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => { for (let at = node; at; at = at.parentElement) {
    const found = rgb(getComputedStyle(at).backgroundColor); if (found.length === 3 || found[3] === 1) return found; } return [255, 255, 255]; };
  const poor = {}; let looked = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(node.tagName)) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    looked += 1;
    if (ratio < 4.5) poor[walker.currentNode.data.trim().slice(0, 40)] = ratio.toFixed(2);
  }
  for (const svg of document.querySelectorAll('svg')) {
    if (!svg.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(svg).color)), light(behind(svg))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 3) poor[svg.outerHTML.slice(0, 60)] = 'icon';
  }
  return {looked, poor};
})()
"""
"""WCAG 2.2, 1.4.3 and 1.4.11: text 4.5 to 1, icons 3 to 1. What falls short, and how many texts were looked at."""


@asynccontextmanager
async def shown(role: str = "leader", *, streams: int = 0) -> AsyncIterator[tuple[Tab, Board, str]]:
    """The odd fleet's page, open in a tab; its board and address. `streams`: others that are open from the same address."""
    board = Board()
    odd_fleet.fill(board, role)
    rows = {(row["namespace"], row["name"]): row for row in odd_fleet.services()}

    async def detail(namespace: str, name: str) -> bytes | None:
        row = rows.get((namespace, name))
        return json.dumps(odd_fleet.detail(row)).encode() if row is not None else None

    server = PageServer("127.0.0.1", 0, OperatorsPage(board, detail))
    async with anyio.create_task_group() as group:
        await group.start(server.run)
        address = f"http://127.0.0.1:{server.port}/ui/"
        async with AsyncExitStack() as others:
            for _ in range(streams):
                http = await others.enter_async_context(ClientSession())
                await others.enter_async_context(http.get(f"{address}events"))
            opened = await others.enter_async_context(tab())
            await opened.look(**WIDE)
            await opened.open(address)
            yield opened, board, address
        group.cancel_scope.cancel()


async def names(page: Tab) -> list[str]:
    found: list[str] = await page.run("[...document.querySelectorAll('td.name a')].map(a => a.innerText)")
    return found


async def test_hostile_words_are_words_and_every_state_has_text_and_a_shape_of_its_own() -> None:
    async with shown() as (page, board, _):
        await page.until(LOADED)
        await page.until("document.querySelectorAll('#rows tr').length === 53")
        assert await page.run("document.title") == "(4) aioctl · kserve"
        assert await page.run("document.querySelectorAll('main img, main script, main iframe').length") == 0
        hostile = (
            "[...document.querySelectorAll('#rows tr')].find(row => row.dataset.key === 'team-0/hostile')"
        )
        said = await page.run(f"{hostile}.querySelector('td.todo').textContent.trim()")
        assert said == odd_fleet.HOSTILE.replace("\u2028", "\\u2028").replace("\u202e", "\\u202e")
        await page.run("location.hash = 'team-0/hostile'")
        await page.until("!!document.querySelector('.tree') && !!document.querySelector('.do')")
        assert await page.run("document.querySelectorAll('#detail img, #detail script').length") == 0
        assert await page.run("document.title") == "(4) aioctl · kserve"

        shapes = await page.run(
            "Object.fromEntries([...document.querySelectorAll('td.state')].map("
            "cell => [cell.innerText.trim(), cell.querySelector('path').getAttribute('d')]))"
        )
        assert set(shapes) == {*(state.value for state in State), "Unknown"}
        assert len(set(shapes.values())) == len(shapes)
        board.drop(("team-0", "hostile"))
        await page.until("document.querySelectorAll('#rows tr').length === 52")
        assert page.errors == []


async def test_the_policy_stops_what_a_careless_change_would_let_in() -> None:
    async with shown() as (page, _, _):
        await page.until(LOADED)
        ways = (
            "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
            "new Function('return 1')()",
        )
        for way in ways:
            assert await page.run(f"(() => {{ try {{ {way}; return 'let in'; }} catch (error) {{ return error.name; }} }})()") in (
                "TypeError",
                "EvalError",
            )  # fmt: skip
        await page.run(
            "(() => { const added = document.createElement('style'); added.textContent = 'body { display: none }';"
            " document.head.append(added); })()"
        )
        assert await page.run("getComputedStyle(document.body).display") == "block"
        assert len(page.errors) >= 3
        page.errors.clear()


async def test_everything_is_to_be_had_by_keyboard() -> None:
    async with shown() as (page, _, _):
        await page.until(LOADED)
        await page.key("/")
        await page.write("gatewayrefuses")
        await page.until("document.querySelectorAll('#rows tr').length === 3")
        assert await page.run("document.querySelector('#count').innerText") == "3 of 53 services"
        await page.key("ArrowDown")
        await page.key("j")
        assert await page.run("document.activeElement.innerText") == "team-1/llm-0049"
        # A cell cuts off what is outside of it.
        assert await page.run("getComputedStyle(document.activeElement).outlineOffset") == "-2px"
        await page.key("Enter")
        await page.until("document.querySelector('.tree')?.checkVisibility()")
        assert await page.run("document.activeElement.id") == "detail-name"
        assert await page.run("document.querySelector('#detail-name').innerText.trim()") == "team-1/llm-0049"
        await page.key("Escape")
        await page.until("document.querySelector('#detail').hidden")
        assert await page.run("document.activeElement.innerText") == "team-1/llm-0049"
        await page.key("k")
        assert await page.run("document.activeElement.innerText") == "team-0/llm-0048"
        await page.key("/")
        await page.key("Escape")
        await page.until("document.querySelectorAll('#rows tr').length === 53")
        assert (await names(page))[0] == "team-0/hostile"

        await page.run("document.querySelector('th.name button').focus()")
        await page.key("Enter")
        await page.until("document.querySelector('th.name').getAttribute('aria-sort') === 'ascending'")
        await page.until("document.querySelector('td.name a').innerText === 'team-0/hostile'")
        found = await names(page)
        assert found == sorted(found)
        await page.key("Enter")
        await page.until("document.querySelector('td.name a').innerText === 'team-2/llm-0050'")
        held = "[...document.querySelectorAll('#tiles button')].find(button => button.innerText.includes('Held'))"
        await page.run(f"{held}.focus()")
        await page.key("Enter")
        await page.until("document.querySelectorAll('#rows tr').length === 4")
        assert await page.run(f"{held}.getAttribute('aria-pressed')") == "true"
        rings = await page.run(
            "(() => { const button = document.querySelector('#theme'); button.focus(); return getComputedStyle(button).outlineStyle; })()"
        )
        assert rings == "solid"
        assert page.errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_contrasts_are_those_of_wcag_aa(dark: bool) -> None:
    async with shown() as (page, _, address):
        await page.look(**WIDE, dark=dark)
        await page.open(f"{address}#team-0/hostile")
        await page.until(LOADED)
        await page.until("!!document.querySelector('.tree')")
        found = await page.run(CONTRASTS)
        assert found["looked"] > 300
        assert found["poor"] == {}
        assert await page.run("document.querySelector('#theme').innerText") == ("Light" if dark else "Dark")
        await page.run("document.querySelector('#theme').click()")
        assert (await page.run(CONTRASTS))["poor"] == {}
        assert page.errors == []


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1920])
async def test_nothing_runs_over_the_edge_on_any_width(width: int) -> None:
    async with shown() as (page, _, _):
        await page.look(width=width, height=844, phone=width < 700)
        await page.until(LOADED)
        for open_ in (False, True):
            if open_:
                await page.run("location.hash = 'team-0/hostile'")
                await page.until("!!document.querySelector('.tree')")
            assert await page.run("document.documentElement.scrollWidth - innerWidth") <= 0
        small = (
            "[...document.querySelectorAll('button, input, select')].filter(e => e.checkVisibility())"
            ".filter(e => Math.min(e.getBoundingClientRect().width, e.getBoundingClientRect().height) < {least}).map(e => e.outerHTML)"
        )
        least = 32 if width < 700 else 22
        assert await page.run(small.replace("{least}", str(least))) == []
        assert page.errors == []


async def test_a_follower_names_the_leader_and_shows_its_own_webhooks() -> None:
    async with shown("follower") as (page, _, _):
        await page.until(LOADED)
        notice = await page.run("document.querySelector('#notices').innerText")
        assert "aioctl-5d9f7c6b8-7mmzt leads" in notice
        assert "kubectl -n kserve port-forward pod/aioctl-5d9f7c6b8-7mmzt 8080" in notice
        titles = (
            "[...document.querySelectorAll('#figures b:first-child')].filter(b => b.checkVisibility())"
            ".map(b => b.innerText).filter(t => isNaN(t[0]))"
        )
        shown_ = await page.run(titles)
        assert {"Conversion calls", "Admission calls", "Loop lag"} <= set(shown_)
        assert "Work queue" not in shown_
        assert await page.run("document.querySelector('#services').checkVisibility()") is False
        assert page.errors == []


async def test_where_no_stream_is_to_be_had_the_page_asks_now_and_then_and_says_so() -> None:
    async with shown(streams=STREAMS_PER_PEER) as (page, _, _):
        await page.until("document.querySelector('#live').innerText.startsWith('not live: read')")
        await page.until("document.querySelectorAll('#rows tr').length === 53")


async def test_a_migration_is_watched_from_first_to_last() -> None:
    """On the demo's cluster and controller: every service comes, waits, moves and is Ready, without a reload.

    Each keeps its traffic back until the page has shown that of all, so that no state can pass unseen on a busy machine.
    """
    with tempfile.TemporaryDirectory(prefix="aioctl-page-") as name:
        folder = Path(name)
        ports = processes.Ports.free()
        certificates = processes.write_certificates(folder)
        played = ["--scenario", "demo", "--gateway-delay", "1"]
        async with (
            processes.cluster(folder, ports, certificates, played),
            processes.controller(folder, ports, certificates, folder / "kubeconfig"),
            tab() as page,
        ):
            await page.look(**WIDE)
            await page.open(ports.operators_page)
            await page.until(
                "document.querySelector('#none')?.innerText.startsWith('There are no LLMInferenceServices')"
            )
            await page.run(WATCH)
            async with _administrator(folder / "kubeconfig") as client:
                made = await _create_held(client)
                await page.until(_all_are("Held"))
                for service in made:
                    patch = {"metadata": {"annotations": {MIGRATION_STRATEGY: None}}}
                    await client.patch(kinds.SERVICE, namespace_of(service), name_of(service), patch)
            await page.until(_all_are("Migrated"))
            seen = await page.run("window.seen")
            assert len(seen) == SERVICES
            for states in seen.values():
                assert states[-1] == "Migrated"
                assert "Held" in states
            await page.until("document.querySelector('#states .values').innerText.includes('6 Migrated')")
            await page.run("document.querySelector('td.name a').click()")
            await page.until("!!document.querySelector('.tree')")
            tree = await page.run("document.querySelector('.tree').innerText")
            assert "100 % to v1, 0 % to v1alpha2" in tree
            await page.screenshot(SCREENSHOTS / "light-service.png")
            await page.key("Escape")
            await page.screenshot(SCREENSHOTS / "light.png")
            await page.look(**WIDE, dark=True)
            await page.until("document.documentElement.classList.contains('dark')")
            await page.screenshot(SCREENSHOTS / "dark.png")
            await page.look(**PHONE)
            await page.until("getComputedStyle(document.querySelector('#rows td')).display === 'block'")
            await page.screenshot(SCREENSHOTS / "phone.png")
            assert page.errors == []
            assert await page.run("document.querySelector('#live').innerText") == "live"


WATCH = """
(() => {
  window.seen = {};
  const note = () => { for (const row of document.querySelectorAll('#rows tr')) {
    const states = window.seen[row.dataset.key] ||= [];
    const state = row.querySelector('td.state').innerText.trim();
    if (states[states.length - 1] !== state) states.push(state);
  } };
  new MutationObserver(note).observe(document.querySelector('#rows'), {childList: true, subtree: true, characterData: true});
})()
"""
"""Notes every state that each row shows, in order."""


def _all_are(state: str) -> str:
    """A script: whether the rows of all services show the state, and that they are Ready."""
    return (
        f"[...document.querySelectorAll('#rows tr')].filter(row => row.querySelector('td.state').innerText.includes('{state}')"
        f" && row.querySelector('td.ready').innerText.trim() === 'Ready').length === {SERVICES}"
    )


@asynccontextmanager
async def _administrator(kubeconfig: Path) -> AsyncIterator[Client]:
    client = Client((await load_config(str(kubeconfig))).wire())
    try:
        yield client
    finally:
        await client.aclose()


async def _create_held(client: Client) -> list[dict[str, Any]]:
    """The presets, and services whose traffic stays where it is."""
    await processes.install_presets(client)
    held: list[dict[str, Any]] = []
    for service in fleet.services(SERVICES):
        metadata = service["metadata"]
        annotations = {**metadata.get("annotations", {}), MIGRATION_STRATEGY: "hold"}
        held.append({**service, "metadata": {**metadata, "annotations": annotations}})
    await fleet.create(client, held)
    return held
