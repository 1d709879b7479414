"""The conformance suite: its data, its runner, and what it makes of clusters that are wrong."""
