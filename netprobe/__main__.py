"""`python -m netprobe`."""

from netprobe.cli import entry

if __name__ == "__main__":
    entry()
