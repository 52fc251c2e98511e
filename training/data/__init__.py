"""A folder of images and masks becomes a data set to train on; or it is said why it cannot."""
