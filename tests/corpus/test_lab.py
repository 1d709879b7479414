"""A sample of the corpus as packets: the lab's kernel gives the known answers too.

NETPROBE_CORPUS=all takes every case that can be told by packets, some minutes' worth.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.families import families
from tests.corpus.handwritten import handwritten
from tests.corpus.suites import tellable, told, write
from tests.corpus.world import Ask, Moment

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

CASES = [(name, moment) for name, moment in (*handwritten(), *families()) if tellable(moment)]
SAMPLE = CASES if os.environ.get("NETPROBE_CORPUS") == "all" else CASES[::37]
A_RUN = 12  # moments in one run: few enough for a clear failure, enough to share the bringing up of pods


@pytest.mark.parametrize(
    "some",
    [
        pytest.param(SAMPLE[start : start + A_RUN], id=f"from {start}")
        for start in range(0, len(SAMPLE), A_RUN)
    ],
)
def test_packets_give_the_known_answers(some: list[tuple[str, Moment]], tmp_path: Path) -> None:
    suite = write(tmp_path, [moment for _, moment in some])
    run = subprocess.run(
        [sys.executable, "-m", "netprobe", "run", str(suite), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode in {0, 1}, run.stderr or run.stdout
    observed = {
        (row["step"], Ask(row["from"], row["to"], f"{row['port']}/{row['protocol']}")): row["observed"]
        for row in json.loads(run.stdout)["flows"]
    }
    wrong = [
        f"{name}: {ask.source} -> {ask.destination} {ask.port}: {observed[step, ask]}"
        for step, (name, moment) in enumerate(some)
        for ask in told()
        if observed[step, ask] != ("allow" if moment.expected(ask) else "deny")
    ]
    assert not wrong, "\n".join(wrong[:20])
    assert run.returncode == 0, run.stderr
