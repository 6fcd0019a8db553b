"""The order of trials, the job each launch is given, the gates before it, and what its output lines mean."""
