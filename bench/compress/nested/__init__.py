"""One network in several capacities, each containing the one before: NestDNN, Fang et al. 2018, arXiv 1810.10090."""
