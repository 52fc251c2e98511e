"""A run in, an HTTP endpoint out. Read in order: promote, export, card, service.

Promoted models stay inside the project, as the runs do: the BentoML store is mlruns/bentoml unless BENTOML_HOME says
otherwise. It is said here because both halves of this package must agree on it, and BentoML reads it only once.
"""

import os

os.environ.setdefault("BENTOML_HOME", "mlruns/bentoml")
