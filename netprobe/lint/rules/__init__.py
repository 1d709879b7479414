"""The rules, one a module: each docstring is the page of the manual that `--explain` shows."""
