"""netprobe: does a cluster's network do what its policies say, and do they say what was meant?

The names below are the Python API (`netprobe.api`); they are loaded when they are first used, so that
`netprobe --version` stays fast.
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from netprobe.api import (
        Cluster,
        Explanation,
        Flow,
        FlowStatus,
        InputError,
        NetprobeError,
        Report,
        Row,
        Suite,
        UnknownVerdictError,
        UsageError,
        Verdict,
        load_suite,
        run_suite,
        simulate_suite,
    )

__version__ = "0.1.0"

PROJECT_URL: Final = "https://example.org/netprobe"
"""The project's public address, for reports and documentation. A placeholder until there is one."""

__all__ = [
    "Cluster",
    "Explanation",
    "Flow",
    "FlowStatus",
    "InputError",
    "NetprobeError",
    "Report",
    "Row",
    "Suite",
    "UnknownVerdictError",
    "UsageError",
    "Verdict",
    "load_suite",
    "run_suite",
    "simulate_suite",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from netprobe import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
