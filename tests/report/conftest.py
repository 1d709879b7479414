"""One browser for the pages of all tests here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser import Page, browser


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def page() -> AsyncIterator[Page]:
    async with browser() as found:
        yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "page.html"
