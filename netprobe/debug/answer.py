"""The answer to a question: steps, causes, and the exit status; as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netprobe.debug.causes import Cause, Fix, find_all
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Question
from netprobe.debug.steps import STEPS, Step, StepStatus
from netprobe.explain.text import side_effects
from netprobe.manifests.change import fix_document

OLD_CONNECTIONS = (
    "only new connections were tried: one that was open before a policy was applied may continue"
)


STEP_WIDTH = 23
"""Columns before the text of a step."""
LABEL_WIDTH = 7
"""Columns before the text of a cause, a fix or a note."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`causes` with their ids, the first on the path first. `connects`: every end of the traffic answers."""

    question: Question
    steps: tuple[Step, ...]
    causes: tuple[tuple[str, Cause], ...]
    connects: bool
    unsent: str
    notes: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0: it connects. 1: a cause was found. 3: could not tell."""
        if any(not cause.over for _, cause in self.causes):
            return 1
        return 0 if self.connects else 3

    @property
    def result(self) -> tuple[object, ...]:
        """What `--watch` compares."""
        return self.exit_status, tuple(name for name, _ in self.causes)

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


def conclude(evidence: Evidence) -> Answer:
    connects = bool(evidence.legs) and all(evidence.connects(leg) for leg in evidence.legs)
    causes = tuple(find_all(evidence))
    notes = [*evidence.warnings]
    if any(leg.denied and evidence.seen(leg) and not evidence.connects(leg) for leg in evidence.legs):
        notes.append(OLD_CONNECTIONS)
    if evidence.packets:
        notes += evidence.packets.notes
    steps = tuple(step(evidence) for step in STEPS)
    return Answer(evidence.question, steps, causes, connects, evidence.unsent, tuple(notes))


def lines(answer: Answer) -> Iterator[tuple[StepStatus | None, str]]:
    """The lines of the text, those of steps with their status."""
    for step in answer.steps:
        yield step.status, f"{step.status.value:<8} {step.name:<13} {step.text}"
    for number, (_, cause) in enumerate(answer.causes):
        if number == 0:
            yield None, f"Cause: {_sentence(cause)}"
            yield None, f"Fix:   {cause.fix.summary}"
            if cause.fix.suggestion is not None:
                effects = side_effects(cause.fix.suggestion.effects)
                yield from ((None, f"       {effect}") for effect in effects)
        else:
            yield None, f"Also:  {_sentence(cause)} Fix: {cause.fix.summary}"
        for other in cause.or_else:
            yield None, f"Or:    {other}"
        if cause.tell_apart:
            yield None, f"       To tell them apart: {cause.tell_apart}"
    if not answer.causes:
        yield None, _without_cause(answer)
    yield from ((None, f"Note:  {note}") for note in answer.notes)


def _sentence(cause: Cause) -> str:
    return f"{cause.text.rstrip('.')}."


def _without_cause(answer: Answer) -> str:
    if answer.connects:
        return "It connects."
    if answer["packets"].status is StepStatus.SKIPPED:
        return f"No cause found by reading alone. Nothing was sent: {answer.unsent}."
    return "No cause found: the evidence above fits none of those that netprobe knows."


def document(answer: Answer) -> dict[str, Any]:
    question = answer.question
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "Debug",
        "from": question.source,
        "to": question.destination,
        "port": question.port,
        "protocol": question.protocol.value,
        "connects": answer.connects,
        "exit_status": answer.exit_status,
        "steps": [
            {"name": step.name, "status": step.status.value, "text": step.text, "evidence": step.evidence}
            for step in answer.steps
        ],
        "causes": [_cause(name, cause) for name, cause in answer.causes],
        "notes": list(answer.notes),
    }


def _cause(name: str, cause: Cause) -> dict[str, Any]:
    return {
        "cause": name,
        "step": cause.place.name.lower(),
        "text": cause.text,
        "ended": cause.over,
        "fix": _fix(cause.fix),
        "or_else": list(cause.or_else),
        "tell_apart": cause.tell_apart or None,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    """In the shape of every `fix`; without changes if it does not change policies or labels."""
    nothing = {"also_opens": [], "also_closes": [], "also_opens_count": 0, "also_closes_count": 0}
    return fix_document(fix.suggestion) or {"summary": fix.summary, "changes": [], **nothing}
