"""Networks of the same family with fewer channels: which can go, how wide what is left may be, and their package."""
