"""One browser for the pages of all tests here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio

from tests.browser import Page, browser

RunningPage: TypeAlias = Callable[[], Awaitable[Page]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def running_page() -> AsyncIterator[RunningPage]:
    """Starts a browser for the first test, and once more if it ended by itself."""
    started: list[Page] = []
    async with AsyncExitStack() as stack:

        async def running() -> Page:
            if not started or started[-1].ended:
                reasons = [await page.reason() for page in started]
                assert len(reasons) < 2, reasons
                started.append(await stack.enter_async_context(browser()))
                print(*reasons)  # noqa: T201 (pytest shows it if the test fails)
            return started[-1]

        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(running_page: RunningPage) -> Page:
    return await running_page()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "page.html"
