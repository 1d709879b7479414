"""Who somebody is, and what they may do: tokens, impersonation, RBAC, and the reviews that ask about it.

The lab's own token is that of an administrator (group system:masters), whose requests are let through
without a look at any role. Everybody else is a ServiceAccount with a token, or whom one of them impersonates.
"""

from netprobe.lab.api.access.gate import Gate
from netprobe.lab.api.access.user import ADMIN, User

__all__ = ["ADMIN", "Gate", "User"]
