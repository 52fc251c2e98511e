"""napari with a button that segments an image layer: `python docs/segment_in_napari.py photo.tif`.

Needs napari (`pip install "napari[pyqt6]"`) and nothing of this project; the endpoint is at SEGMENT_URL.
"""

import io
import os
import sys

import imageio.v3 as imageio
import napari
import requests
import tifffile
from magicgui import magicgui
from napari.layers import Image, Labels
from skimage.measure import label

URL = os.environ.get("SEGMENT_URL", "http://127.0.0.1:3000").rstrip("/")
TOKEN = os.environ.get("SEGMENT_TOKEN", "").strip()


@magicgui(call_button="Segment")
def segment(image: Image, split: bool = True, image_max: str = "") -> Labels:
    """The objects of a layer, numbered. image_max: the value that stands for white, where the server asks for it."""
    file = io.BytesIO()
    tifffile.imwrite(file, image.data, photometric="rgb" if image.rgb else "minisblack")
    fields = {"split": split} | ({"image_max": image_max} if image_max else {})
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    files = {"image": file.getvalue()}
    answer = requests.post(f"{URL}/segment", files=files, data=fields, headers=headers, timeout=600)
    if not answer.ok:
        raise ValueError(answer.json()["detail"])
    objects = label(imageio.imread(answer.content, extension=".png"), connectivity=2)
    return Labels(objects, name=f"{image.name} objects", scale=image.scale, translate=image.translate)


if __name__ == "__main__":
    viewer = napari.Viewer()
    viewer.open(sys.argv[1:])
    viewer.window.add_dock_widget(segment, name="Segment")
    napari.run()
