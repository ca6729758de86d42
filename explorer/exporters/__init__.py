"""Trainers' own files from a manifest; one trainer a file, each saying what its format cannot express."""

from explorer.exporters.base import Exporter, ExportReport, Loss, LossReport, export, exporter, exporters

__all__ = ["ExportReport", "Exporter", "Loss", "LossReport", "export", "exporter", "exporters"]
