"""Whether a data set is fit to train on: what was found, how bad it is, and a page that shows it."""
