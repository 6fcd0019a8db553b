"""From torch to files that a runtime on a phone can load, each checked against the network it came from."""
