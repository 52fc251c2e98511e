"""Public data sets: where they are, what they hold, and how an archive is unpacked safely."""
