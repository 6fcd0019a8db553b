"""The story of a run: what is asked for, on which phones, from preparation to report."""
