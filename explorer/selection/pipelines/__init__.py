"""Thresholds written as, and read from, the configurations of the pipelines that filter at scale: one file a pipeline.

A threshold becomes the pipeline's own operator where that measures the same thing (or close to it: the difference is then said in
``lost``); otherwise a filter on a column that the documents carry (``needs``). What a pipeline cannot say at all is in ``lost``
and in a comment of the file. Names, reasons and sources of rules are for people and are not carried over.
"""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.pipelines.config import PipelineConfig, PipelineFilters

PIPELINES = ("datatrove", "dolma", "data_juicer", "nemo_curator")

__all__ = ["PIPELINES", "PipelineConfig", "PipelineFilters", "from_pipeline", "read_pipeline", "to_pipeline"]


def to_pipeline(filters: Filters, pipeline: str) -> PipelineConfig:
    """Filters as a pipeline's own configuration.

    Args:
        filters: thresholds, predicate and sampler.
        pipeline: "datatrove", "dolma", "data_juicer" or "nemo_curator".

    Raises:
        SelectionError: the pipeline is not known.

    """
    config: PipelineConfig = _module(pipeline).write(filters)
    return config


def read_pipeline(text_or_path: str | os.PathLike[str], pipeline: str) -> PipelineFilters:
    """Filters from a pipeline's configuration, and what was not read of it.

    Args:
        text_or_path: the configuration's text, or a file that holds it. Python is parsed, never run.
        pipeline: "datatrove", "dolma", "data_juicer" or "nemo_curator".

    Raises:
        SelectionError: the pipeline is not known, or the text is not one of its configurations.

    """
    read: PipelineFilters = _module(pipeline).read(_text(text_or_path))
    return read


def from_pipeline(text_or_path: str | os.PathLike[str], pipeline: str) -> Filters:
    """Filters from a pipeline's configuration; ``about`` lists the steps that were not read (see `read_pipeline`)."""
    found = read_pipeline(text_or_path, pipeline)
    about = f"Read from a {pipeline} configuration."
    if found.unread:
        about += f" Not read: {'; '.join(found.unread)}."
    return replace(found.filters, about=about)


def _module(pipeline: str) -> ModuleType:
    name = pipeline.lower().replace("-", "_")
    if name not in PIPELINES:
        raise SelectionError(f"No pipeline is called {pipeline!r}. Pipelines: {', '.join(PIPELINES)}. Choose one.")
    return import_module(f"{__name__}.{name}")


def _text(text_or_path: str | os.PathLike[str]) -> str:
    path = os.fspath(text_or_path)
    if isinstance(text_or_path, str) and ("\n" in path or not path.endswith((".py", ".yaml", ".yml", ".json"))):
        return path
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SelectionError(
            f"Pipeline file {path!r} cannot be read: {error}. Name a text file, or pass the configuration itself."
        ) from error
