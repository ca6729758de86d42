"""Trainers' own files from a manifest; one trainer a file, each saying what its format cannot express."""

from explorer.exporters.base import Counted, Exporter, ExportReport, Loss, LossReport, export, exporter, exporters, is_export, recounted

__all__ = ["Counted", "ExportReport", "Exporter", "Loss", "LossReport", "export", "exporter", "exporters", "is_export", "recounted"]
