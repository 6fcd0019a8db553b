"""A phone made of software: an ADB daemon, a sandbox behind it, and what it says about itself."""
