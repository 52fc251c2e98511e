"""What one would write in an afternoon: FastAPI, the eager fp32 network, one image at a time.

`MODEL=FOLDER uvicorn benchmarks.plain_service:app`. Decodes and encodes with OpenCV, as our service does; uses nothing
of ours but the network.
"""

import os
import threading

import cv2
import numpy as np
import torch
from fastapi import FastAPI, Response, UploadFile

from training.network.unet import UNet

app = FastAPI()
model = UNet.from_pretrained(os.environ["MODEL"]).eval()
turn = threading.Lock()  # several images at once only fight for the cores


@app.get("/readyz")
def ready() -> str:
    return "ready"


@app.post("/segment")
def segment(image: UploadFile) -> Response:
    pixels = cv2.imdecode(np.frombuffer(image.file.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32))
    with turn, torch.inference_mode():
        probability = model((batch - 127.5) / 63.75).sigmoid()[0, 0]
    mask = (probability > 0.5).numpy().astype(np.uint8) * 255
    return Response(cv2.imencode(".png", mask)[1].tobytes(), media_type="image/png")
