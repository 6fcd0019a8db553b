"""What executes a network: the native runner, which is built here, and torch on this host as the reference."""
