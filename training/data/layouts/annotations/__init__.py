"""Outlines of objects as annotation tools export them: COCO, VIA, LabelMe, GeoJSON, YOLO, ImageJ, VOC and CVAT."""
