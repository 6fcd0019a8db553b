"""Ways to make a network small. Frequency Regularization is the first."""
