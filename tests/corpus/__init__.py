"""Cases whose answers were worked out by hand, not by the simulator: see cases/*.yaml and families.py."""
