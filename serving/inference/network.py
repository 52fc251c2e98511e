"""What every network that serves is to the segmenter: pixels in, probabilities out; and the names of its files."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.data.images import Pixels

MODEL, QUANTIZED, FACTS = "model.onnx", "model_int8.xml", "preprocessing.json"
WEIGHTS = "weights"  # a folder: the trained network, for torch
PACKAGE = "model.zip"  # the network for other programs, as bioimage.io wants it
CONFIDENCE = "confidence.json"  # which folders beside it hold other networks, and what their agreement is worth
PRECISIONS = ("int8", "bf16", "fp32")  # the fastest first

Probability = NDArray[np.float32]
Infer = Callable[[Pixels], Probability]  # (n, h, w, c) -> (n, h, w)
