"""A network of the same family with fewer channels, trained from the start, its numbers in float16."""
