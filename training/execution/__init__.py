"""Who trains what, where: the trials of a study, given to worker processes or to a Ray cluster."""
