"""Draws masks from annotations in JSON: COCO's polygons, run lengths and panoptic segments, and LabelMe's shapes."""
