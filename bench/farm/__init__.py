"""Phones of several hosts: a worker on each host works its phones for a coordinator elsewhere. Dask carries what they
say to each other, and stays in this room. docs/farm.md, docs/adr/0013-farms.md."""
