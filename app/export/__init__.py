"""Export of events, answers and sales from the store to files of the dataset contract."""

from app.export.drain import ExportSummary, export
from app.export.entries import exposure_table
from app.export.part import PARTS, ExportError

__all__ = ["PARTS", "ExportError", "ExportSummary", "export", "exposure_table"]
