"""The vocabulary: frozen records of the standard library only, without I/O and without judgement."""
