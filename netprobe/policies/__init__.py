"""Policy kinds: reading, validating, defaulting and writing them, one module per kind.

`fields` is the decoder that all readers of API objects share. `names`, `metadata` and `address` hold rules
of the API server that several kinds have in common.
"""
