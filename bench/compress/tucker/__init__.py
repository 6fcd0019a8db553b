"""One-shot compression of a whole trained network: Tucker-2 of every kernel at ranks found in its own noise."""
