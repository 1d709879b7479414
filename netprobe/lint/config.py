"""`.netprobe.yaml`: which rules run, with which severity, and where.

    lint:
      exclude: [charts/, vendor/]     # files and folders that are not read
      disable: [no-ports]
      severity: {egress-to-anywhere: error}
      paths:
        - match: legacy/
          disable: [missing-default-deny]

Patterns are relative to the folder of the file. A folder means everything below it; `*` matches any
characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from netprobe.errors import InputError, Problem
from netprobe.lint.rule import Finding, Severity, catalogue
from netprobe.model.text import dotted

FILE_NAME = ".netprobe.yaml"


def _known_rule(name: str) -> str:
    if name not in catalogue():
        raise ValueError(f"no rule {name!r}; `netprobe lint --explain` lists them")
    return name


RuleId = Annotated[str, AfterValidator(_known_rule)]


class Overrides(BaseModel):
    """Rules that are disabled or have another severity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    disable: tuple[RuleId, ...] = ()
    severity: dict[RuleId, Severity] = Field(default_factory=dict)

    def apply(self, finding: Finding) -> Finding | None:
        if finding.rule in self.disable:
            return None
        severity = self.severity.get(finding.rule)
        return finding if severity is None else replace(finding, severity=severity)


class PathOverrides(Overrides):
    match: str | tuple[str, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.match,) if isinstance(self.match, str) else self.match


class LintConfig(Overrides):
    """The `lint` section. Later entries of `paths` override earlier ones."""

    exclude: tuple[str, ...] = ()
    paths: tuple[PathOverrides, ...] = ()
    folder: str = Field(default="", exclude=True)

    def excludes(self, file: str) -> bool:
        return any(self._matches(pattern, file) for pattern in self.exclude)

    def adjust(self, finding: Finding) -> Finding | None:
        """The finding with the configured severity; None if it is disabled."""
        adjusted = self.apply(finding)
        for override in self.paths:
            if adjusted is None or finding.file is None:
                break
            if any(self._matches(pattern, finding.file) for pattern in override.patterns):
                adjusted = override.apply(adjusted)
        return adjusted

    def _matches(self, pattern: str, file: str) -> bool:
        path = PurePath(file)
        if self.folder and path.is_absolute() and path.is_relative_to(self.folder):
            path = path.relative_to(self.folder)
        name, wanted = path.as_posix(), pattern.removeprefix("./")
        return fnmatchcase(name, wanted) or fnmatchcase(name, f"{wanted.rstrip('/')}/*")


class ConfigFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    lint: LintConfig = LintConfig()


NO_CONFIG = LintConfig()


def parse_config(value: Any, place: Callable[[str], str], folder: str = "") -> LintConfig:
    """The configuration from the content of a file. Raises InputError with all problems.

    `place` gives the "file:line:column" of a path. `folder`, absolute, is what patterns are relative to.
    """
    try:
        config = ConfigFile.model_validate({} if value is None else value)
    except ValidationError as error:
        raise InputError(
            Problem(place(path), path, message.removeprefix("Value error, "))
            for path, message in ((dotted(each["loc"]), each["msg"]) for each in error.errors())
        ) from error
    return config.lint.model_copy(update={"folder": folder})
