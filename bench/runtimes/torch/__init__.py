"""torch on this host: the reference, under the same contract as the native runner."""
