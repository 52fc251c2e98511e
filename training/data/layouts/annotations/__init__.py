"""Outlines of objects as annotation tools export them: COCO, LabelMe, GeoJSON, YOLO, ImageJ, VOC and CVAT."""
