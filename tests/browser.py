"""A page in a headless Chromium, driven over the DevTools protocol: keys, clicks, colours, widths."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from asyncio.subprocess import Process
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--remote-debugging-port=0", "--window-size=1200,900"),
)
CODES = {"ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "Enter": 13, "Tab": 9, "/": 191, "Escape": 27}


class BrowserEndedError(Exception):
    """The browser ended by itself. The text is its exit status and what it said at last."""


IN_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.flaky(reruns=1, only_rerun=["BrowserEndedError"]),
]


class Page:
    """One page. `errors` are the errors in its console, including violations of its content policy."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, process: Process, said: deque[bytes]) -> None:
        self._socket, self._process, self._said = socket, process, said
        self._numbers = itertools.count(1)
        self.errors: list[str] = []

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def reason(self) -> str:
        """Why the browser has ended."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 10)
        words = b" ".join(self._said).decode(errors="replace")
        return f"the browser ended with status {self._process.returncode}: {words}"

    async def go(self, file: Path, fragment: str = "") -> None:
        """Load a file anew, in a wide window, without errors of earlier pages."""
        await self.call("Page.navigate", url="about:blank")
        await self.until("location.href === 'about:blank'")
        await self.call("Emulation.clearDeviceMetricsOverride")
        self.errors = []
        await self.call("Page.navigate", url=f"file://{file}{fragment}")
        await self.until("document.readyState + location.protocol === 'completefile:'")

    async def call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        try:
            await self._socket.send_json({"id": number, "method": method, "params": params})
        except ConnectionError:
            raise BrowserEndedError(await self.reason()) from None
        while True:
            received = await self._socket.receive(timeout=300)
            if received.type is not aiohttp.WSMsgType.TEXT:
                raise BrowserEndedError(await self.reason())
            message = received.json()
            if message.get("method") == "Log.entryAdded":
                entry = message["params"]["entry"]
                self.errors += [entry["text"]] if entry["level"] == "error" else []
            elif message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]))
            elif message.get("id") == number:
                return message["result"]

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until it is true. TimeoutError if that takes too long."""
        async with asyncio.timeout(300):
            while not await self.ask(expression):
                pass

    async def press(self, key: str, shift: bool = False) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=CODES.get(key, ord(key[0].upper())),
                modifiers=8 if shift else 0,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    async def click(self, selector: str) -> None:
        """Click the middle of the first such element."""
        x, y = await self.ask(
            f"(() => {{ const e = document.querySelector({selector!r}); "
            "e.scrollIntoView({block: 'center', inline: 'center'}); "
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def write(self, text: str) -> None:
        for key in text:
            await self.press(key)

    async def width(self, pixels: int) -> None:
        """Set the width of the window."""
        size = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def scheme(self, name: str) -> None:
        """Set the preference of the reader's system: "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        await self.call("Emulation.setEmulatedMedia", features=features)


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """An empty page in a browser of its own."""
    with tempfile.TemporaryDirectory() as profile:
        options = [*QUIET, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND"]
        process = await asyncio.create_subprocess_exec(
            str(CHROMIUM), *options, "about:blank", stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        said: deque[bytes] = deque(maxlen=5)
        drain: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(300):
                while b"DevTools listening on" not in (line := await process.stderr.readline()):
                    assert line, f"the browser ended: {said}"
                    said.append(line)
                drain = asyncio.create_task(_keep(process.stderr, said))
            port = line.decode().split("://")[1].split("/")[0]
            async with aiohttp.ClientSession() as session:
                async with session.put(f"http://{port}/json/new?about:blank") as answer:
                    target = await answer.json()
                async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    found = Page(socket, process, said)
                    for domain in ("Page", "Runtime", "Log"):
                        await found.call(f"{domain}.enable")
                    yield found
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                process.terminate()
            await process.wait()
            if drain is not None:
                await drain


async def _keep(stream: asyncio.StreamReader, said: deque[bytes]) -> None:
    async for line in stream:
        said.append(line.strip())
