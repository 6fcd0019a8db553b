"""Plots of a report, each a module with `draw`. They import matplotlib, which takes a second: import them late."""
