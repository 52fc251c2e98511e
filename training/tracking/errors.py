"""What can be wrong with the tracking store, known without MLflow: the command line tells it from a wrong value."""


class StoreError(ValueError):
    """The tracking store, and not a value, is in the way; what it says holds the cure."""
