"""action.yml and its script, run as GitHub runs them: in a checkout with a branch to merge into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "manifests" / "production"
GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")

GH = """#!/bin/sh
# stands in for GitHub: keeps the comment; lists the earlier one if there is one
case "$*" in
*--jq*) [ -f "$COMMENTS" ] && echo 42; exit 0 ;;
esac
echo "$*" >>"$COMMENTS.calls"
for word in "$@"; do case "$word" in body=@*) cp "${word#body=@}" "$COMMENTS" ;; esac; done
"""


@dataclass(frozen=True, slots=True)
class Review:
    """What the script left. `pages`: the step summary; `comment`: the comment of the pull request."""

    status: int
    output: str
    page: str
    comment: str
    calls: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A clone with the branch origin/main, and a folder for what GitHub gives an action."""

    work: Path
    runner: Path

    def review(self, **settings: str) -> Review:
        programs = self.runner / "bin"
        programs.mkdir(exist_ok=True)
        for name, text in (("gh", GH), ("netprobe", f'#!/bin/sh\nexec {sys.executable} -m netprobe "$@"\n')):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        given = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(self.runner),
            "COMMENTS": str(self.runner / "comment.md"),
            "GITHUB_OUTPUT": str(self.runner / "github_output"),
            "GITHUB_STEP_SUMMARY": str(self.runner / "github_step_summary"),
            "GITHUB_WORKSPACE": str(self.work),
            "GITHUB_REPOSITORY": "shop/deploy",
            "GITHUB_BASE_REF": "main",
            "MANIFESTS": "policies/\n",
            "SUITE": "suite.yaml",
            "COMMENT": "true",
            "PULL_REQUEST": "7",
        }
        done = subprocess.run(
            [ROOT / "action.sh"],
            cwd=self.work,
            env=os.environ | given | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        texts = [self._text(name) for name in ("github_step_summary", "comment.md", "comment.md.calls")]
        return Review(done.returncode, done.stdout, *texts)

    def _text(self, name: str) -> str:
        path = self.runner / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    origin, work, runner = (tmp_path / name for name in ("origin", "work", "runner"))
    runner.mkdir()
    shutil.copytree(EXAMPLE, origin)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *words], cwd=origin, check=True)
    subprocess.run([*GIT, "clone", "-q", origin, work], check=True)
    return Checkout(work, runner)


def test_a_pull_request_is_reviewed_and_its_comment_is_kept_up_to_date(checkout: Checkout) -> None:
    """The first push makes a mistake; after the next one a file cannot be read."""
    (checkout.work / "policies" / "allow-dns.yaml").unlink()
    wrong = checkout.review()
    assert wrong.status == 1
    assert "::error file=policies/" in wrong.output
    assert "worktree" not in wrong.output
    assert wrong.page == wrong.comment
    assert wrong.page.startswith("<!-- netprobe -->")
    assert "1 policy deleted" in wrong.comment
    assert "--method PATCH" not in wrong.calls
    (checkout.work / "policies" / "broken.yaml").write_text("kind: NetworkPolicy\nspec: [")
    unreadable = checkout.review(SUITE="", GITHUB_BASE_REF="")
    assert unreadable.status == 2
    assert "--method PATCH" in unreadable.calls


def test_without_the_base_branch_a_warning_says_what_to_do(checkout: Checkout) -> None:
    review = checkout.review(SUITE="", GITHUB_BASE_REF="release", COMMENT="false")
    assert review.status == 0
    assert "::warning::impact is missing: check out with fetch-depth 0" in review.output
    assert review.comment == ""


def test_every_input_reaches_the_script() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    *_, review = action["runs"]["steps"]
    used = {
        name for name in action["inputs"] for value in review["env"].values() if f"inputs.{name} " in value
    }
    assert used | {"python-version"} == action["inputs"].keys()
    assert all("uses" in step or step["shell"] == "bash" for step in action["runs"]["steps"])


def test_a_comment_is_no_longer_than_github_takes(checkout: Checkout) -> None:
    """The summary lists 930 flows in a folded table; the comment leaves it out."""
    pods = "".join(f"        - {{name: {'p' * 50}-{number}, ports: [80]}}\n" for number in range(31))
    (checkout.work / "big.yaml").write_text(
        "apiVersion: netprobe/v1alpha1\nkind: ConnectivitySuite\nmetadata: {name: big}\n"
        f"topology:\n  namespaces:\n    - name: shop\n      pods:\n{pods}"
        "expect: {default: allow}\n"
    )
    found = checkout.review(SUITE="big.yaml", GITHUB_BASE_REF="")
    assert found.status == 0
    assert len(found.page) > 65_536 > len(found.comment)
    assert "930 as expected" in found.comment
    assert "<details>" not in found.comment
