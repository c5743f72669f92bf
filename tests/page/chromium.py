"""A headless Chromium and its pages, by the DevTools protocol over aiohttp: as much of it as the tests of the page need.

Debian's package `chromium` is the one that is meant; `executable` says where one is, or None.
"""

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio

ANSWER = 180.0
"""Seconds for one answer of the browser, on a machine that does other things as well."""
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows", "--disable-background-timer-throttling",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-features=Translate,MediaRouter,OptimizationHints", "--remote-debugging-port=0", "about:blank",
)  # fmt: skip


def executable() -> str | None:
    """The browser, from $CHROMIUM or the path."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


class BrowserError(Exception):
    """The browser did not do what it was told, or the page's script raised."""


class Tab:
    """One page. `errors` are the script errors, warnings and refused loads that its console had."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.errors: list[str] = []

    async def listen(self) -> None:
        """Reads what the browser says until the connection ends."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                waiting = self._answers.pop(said["id"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(str(details.get("exception", {}).get("description") or details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(
                " ".join(str(one.get("value", one.get("description"))) for one in params["args"])
            )
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol. Raises BrowserError."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        with anyio.fail_after(ANSWER):
            said = await answer
        if "error" in said:
            raise BrowserError(f"{method}: {said['error']['message']}")
        found: dict[str, Any] = said["result"]
        return found

    async def run(self, script: str) -> Any:
        """The value of an expression of the page; a promise is waited for. Raises BrowserError with the page's own error."""
        said = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True,
            allowUnsafeEvalBlockedByCSP=False,
        )  # fmt: skip
        if "exceptionDetails" in said:
            raise BrowserError(str(said["exceptionDetails"]["exception"].get("description")))
        return said["result"].get("value")

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def until(self, script: str, *, seconds: float = ANSWER) -> Any:
        """The first true value of the expression. Raises BrowserError with the page's text when the time is over."""
        with anyio.move_on_after(seconds):
            while True:
                with contextlib.suppress(BrowserError):  # while the page changes there is nothing to ask
                    if found := await self.run(script):
                        return found
                await anyio.sleep(0.05)
        raise BrowserError(
            f"{script} did not come true; the page says: {await self.run('document.body.innerText')}"
        )

    async def key(self, key: str) -> None:
        """Presses and releases a key, by its name in DOM events."""
        code = {"Enter": 13, "Escape": 27, "Tab": 9}.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        common = {"key": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def write(self, text: str) -> None:
        for letter in text:
            await self.key(letter)

    async def look(self, *, width: int, height: int, dark: bool = False, phone: bool = False) -> None:
        """The size of the window, what its user prefers, and whether it is a phone's."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes a PNG; `whole`: of all of the page, not only of the window."""
        await self.call(
            "Page.bringToFront"
        )  # a page in the background draws nothing, and is waited for in vain
        found = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await anyio.Path(path.parent).mkdir(parents=True, exist_ok=True)
        await anyio.Path(path).write_bytes(base64.b64decode(found["data"]))


@asynccontextmanager
async def tab(find: Callable[[], str | None] = executable) -> AsyncIterator[Tab]:
    """A browser with one page. Raises BrowserError when it does not start."""
    program = find()
    if program is None:
        raise BrowserError("there is no chromium on the path")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command = [program, f"--user-data-dir={folder}", *_OPTIONS]
        running = await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = await _port(Path(folder) / "DevToolsActivePort")
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(await _first_page(http, port), max_msg_size=0) as socket,
                anyio.create_task_group() as group,
            ):
                made = Tab(socket)
                group.start_soon(made.listen)
                for domain in ("Page", "Runtime", "Log"):
                    await made.call(f"{domain}.enable")
                yield made
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                with contextlib.suppress(ProcessLookupError):
                    running.terminate()
                with anyio.move_on_after(5):
                    await running.wait()
                with contextlib.suppress(ProcessLookupError):
                    running.kill()
                await running.aclose()


async def _first_page(http: aiohttp.ClientSession, port: int) -> str:
    """The address of its one page; the browser may listen before it has opened that."""
    with anyio.move_on_after(ANSWER):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    for one in await answer.json():
                        if one["type"] == "page":
                            return str(one["webSocketDebuggerUrl"])
            await anyio.sleep(0.05)
    raise BrowserError("chromium did not open a page")


async def _port(said: Path) -> int:
    """Chromium writes the port it has taken into a file of its profile."""
    with anyio.move_on_after(ANSWER):
        while True:
            with contextlib.suppress(OSError, ValueError, IndexError):
                return int((await anyio.Path(said).read_text()).splitlines()[0])
            await anyio.sleep(0.05)
    raise BrowserError("chromium did not open its debugging port")
