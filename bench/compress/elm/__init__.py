"""Extreme learning machines: a random hidden layer, of which a seed is shipped, and output weights solved for."""
