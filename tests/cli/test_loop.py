"""A command that is interrupted twice: it ends at once, and says nothing but that."""

from __future__ import annotations

import subprocess
import sys

STUBBORN = """
import asyncio, os, signal
from netprobe.cli.progress import run_async

async def stubborn():
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
    try:
        await asyncio.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)

try:
    run_async(stubborn())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_the_second_signal_does_not_wait_and_shows_no_traceback() -> None:
    hears_ctrl_c = ["env", "--default-signal=INT"]  # also in the background of a shell
    done = subprocess.run(
        [*hears_ctrl_c, sys.executable, "-c", STUBBORN],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
