"""The command line. With `bench.terminal`, the only place that prints or exits."""
