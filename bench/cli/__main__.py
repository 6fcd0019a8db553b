"""`python -m bench.cli`: the console script, without an installed one."""

from bench.cli.main import main

main()
