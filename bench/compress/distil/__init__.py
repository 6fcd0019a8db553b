"""A narrower network of the same family, taught by the ordinary one."""
