"""Shapes of records that other tools write, and how they are mapped to the formats of `tunestack.records.formats`."""

from tunestack.records.shapes.base import Shape, ShapeError
from tunestack.records.shapes.table import SHAPES, create_mapping, detect_shape, explain_unknown

__all__ = ["SHAPES", "Shape", "ShapeError", "create_mapping", "detect_shape", "explain_unknown"]
