"""netprobe: does a cluster's network do what its NetworkPolicies say, and do they say what was meant?"""

__version__ = "0.1.0"
