"""netprobe: does a cluster's network do what its policies say, and do they say what was meant?"""

from typing import Final

__version__ = "0.1.0"

PROJECT_URL: Final = "https://example.org/netprobe"
"""The project's public address, for reports and documentation. A placeholder until there is one."""
