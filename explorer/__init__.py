"""Corpus Explorer: see, score, filter and export pretraining corpora."""

__version__ = "0.1.0"
