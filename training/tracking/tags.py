"""Tags of runs by which other files, and other folders, find one run from another. Names only."""

PARENT = "mlflow.parentRunId"  # MLflow's: of a child, the run that it lies below
REUSED = "reused_from"  # the run that trained this one's trial, in this store
RESTORED = "restored_from"  # the run that trained it, in another store
INCUMBENT = "incumbent"  # of a study: the digest of the trial that repeats what was settled before
