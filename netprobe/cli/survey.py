"""`netprobe simulate -f` without a suite: every pair of pods, or an overview where they are too many."""

from __future__ import annotations

from netprobe.diff import Counts
from netprobe.explain.why import blame
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict
from netprobe.report.alike import LONGEST
from netprobe.report.words import port as written
from netprobe.run.record import Group, Groups, Step
from netprobe.survey import Bundle, Overview, Survey
from netprobe.survey.overview import LEFT_OUT

NAME = "the policies as they are"


def surveyed(survey: Survey, *, changed_only: bool, overview: bool) -> Step:
    """The one step of a report. With `overview`, more rows than can be read are told by groups.

    Counts come from the overview then, so that no row is ever made unless somebody reads it.
    """
    explain = blame(survey.question.cluster.policies)
    differences = survey.differences(changed_only=changed_only)
    if not overview or survey.question.size <= LONGEST:
        return Step(NAME, differences, explain=explain)
    found = survey.overview()
    bundles = [one for one in found.bundles if not changed_only or one.verdict is not Verdict.ALLOW]
    flows = sum(one.flows for one in bundles)
    unknown = sum(one.flows for one in bundles if one.verdict is Verdict.UNKNOWN)
    counts = Counts(as_expected=flows - unknown, unknown=unknown, skipped=found.left_out)
    families = {4, 6} <= {one.family for one in bundles}
    groups = (*(_group(one, families) for one in bundles), *_left_out(found))
    return Step(NAME, differences, explain=explain, overview=Groups(groups, counts))


def _group(bundle: Bundle, families: bool) -> Group:
    first, to = bundle.sources.first, bundle.destinations.first
    flow = Flow(first, to, bundle.port, bundle.protocol, bundle.family)
    note = "could not tell" if bundle.verdict is Verdict.UNKNOWN else ""
    ends = str(bundle.sources), str(bundle.destinations)
    return Group(*ends, written(flow, families), bundle.verdict, bundle.flows, note)


def _left_out(found: Overview) -> list[Group]:
    return [Group("-", "-", "-", Verdict.UNKNOWN, found.left_out, LEFT_OUT)] if found.left_out else []
