"""Data-Juicer's process list (checked with py-data-juicer 1.6.1: every list written here is loaded by its ``load_ops``).

Its own heuristics count other things than ours do (words without a tokeniser, characters that repeat), so only the ones with the
same definition are used; any other rule is a ``specified_numeric_field_filter`` on a column that the documents carry. That filter
compares in double precision: a bound on a float32 signal is written as the float32 number it stands for.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import yaml

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.pipelines.config import (
    Operator,
    PipelineConfig,
    PipelineFilters,
    among,
    difference,
    file_name,
    header,
    one_of,
    operator_for,
    plain,
    unsaid,
)
from explorer.selection.threshold import Threshold

NUMBER = "specified_numeric_field_filter"
TEXT = "specified_field_filter"
OPERATORS = (
    Operator("n_chars", "text_length_filter", "min_len", "max_len"),
    Operator("lang_score", "language_id_score_filter", "min_score", differs="it lowercases the text before lid.176.bin sees it"),
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "text_length_filter": {"min_len": 10, "max_len": sys.maxsize},
    "language_id_score_filter": {"lang": "", "min_score": 0.8},
    NUMBER: {"field_key": "", "min_value": -sys.maxsize, "max_value": sys.maxsize},
}
NEAREST = {
    "words_num_filter": "gopher_n_words, which counts spaCy tokens with a character that is no punctuation",
    "average_line_length_filter": "mean_line_chars, which leaves blank lines out",
    "word_repetition_filter": "rep_dup10_char_frac, which is a share of characters",
    "stopwords_filter": "gopher_stop_words, which counts eight words",
    "flagged_words_filter": "rps_doc_ldnoobw_words, which counts a block list of n-grams",
    "token_num_filter": "n_tokens with the same tokenizer",
}


def write(filters: Filters) -> PipelineConfig:
    """A YAML configuration: ``dataset_path`` and ``export_path`` are left to fill in."""
    lost: list[str] = []
    needs: list[str] = []
    process: list[dict[str, dict[str, Any]]] = []
    pick = one_of(filters.where) if filters.where else None
    said_where = False
    for threshold in filters.filters:
        operator = operator_for(threshold, OPERATORS)
        if operator is None:
            process.append({NUMBER: _column(threshold)})
            needs.append(threshold.signal)
            if threshold.nulls == "keep":
                lost.append(f"{threshold}, undefined values kept: {NUMBER} drops a document without a number")
            continue
        arguments: dict[str, Any] = {k: plain(v) for k, v in operator.parameters(threshold).items()}
        if operator.minimum == "min_len":
            arguments = {"min_len": 0, **arguments}
        elif pick is not None and pick[0] == "lang":
            arguments, said_where = {"lang": pick[1], **arguments}, True
        process.append({operator.step: arguments | _closed(threshold)})
        lost += [difference(threshold, operator)] if operator.differs else []
    if pick is not None and not said_where:
        process.append({TEXT: {"field_key": pick[0], "target_value": pick[1]}})
        needs.append(pick[0])
        said_where = True
    lost += unsaid(filters, where=not said_where)
    needs = list(dict.fromkeys(needs))
    said = {
        "project_name": filters.name or "filters",
        "dataset_path": "INPUT",
        "export_path": "OUTPUT",
        "text_keys": "text",
        "process": process,
    }
    text = header(filters, lost, needs, ["Set dataset_path and export_path, then run: dj-process --config THIS_FILE"])
    text += yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=140, default_flow_style=None)
    return PipelineConfig(text, file_name(filters, "data_juicer", "yaml"), "yaml", tuple(lost), tuple(needs))


def read(text: str) -> PipelineFilters:
    """Thresholds of the process list."""
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SelectionError(f"The data_juicer configuration is not valid YAML: {str(error).splitlines()[0]}. Check the file.") from error
    process = said.get("process") if isinstance(said, dict) else None
    if not isinstance(process, list):
        raise SelectionError(
            "The data_juicer configuration has no list 'process'. It must be a Data-Juicer config or recipe. Check the file."
        )
    found: list[Threshold] = []
    where: list[str] = []
    unread: list[str] = []
    for step in process:
        name, given = next(iter(step.items())) if isinstance(step, dict) and step else (str(step), {})
        rules = _rules(name, dict(given or {}))
        if rules is None:
            nearest = f"; the nearest is {NEAREST[name]}" if name in NEAREST else ""
            unread.append(f"{name}: no signal measures the same{nearest}")
        else:
            found += [r for r in rules if isinstance(r, Threshold)]
            where += [r for r in rules if isinstance(r, str)]
    return PipelineFilters(Filters(tuple(found), where[0] if len(where) == 1 else " AND ".join(f"({w})" for w in where)), tuple(unread))


def _column(threshold: Threshold) -> dict[str, Any]:
    said: dict[str, Any] = {"field_key": threshold.signal}
    for name, bound in (("min_value", threshold.minimum), ("max_value", threshold.maximum)):
        if bound is not None:
            said[name] = plain(_stored(threshold.signal, bound))
    return said | _closed(threshold)


def _closed(threshold: Threshold) -> dict[str, bool]:
    if not threshold.exclusive:
        return {}
    sides = (("min_closed_interval", threshold.minimum), ("max_closed_interval", threshold.maximum))
    return {name: False for name, bound in sides if bound is not None}


def _is_float32(signal: str) -> bool:
    from explorer.registry import find_signal

    known = find_signal(signal)
    return known is not None and known.dtype == "float32"


def _stored(signal: str, bound: float) -> float:
    """The bound in the precision in which the signal is stored."""
    return float(np.float32(bound)) if _is_float32(signal) else bound


def _short(signal: str, bound: float) -> float:
    """Back from `_stored`: the shortest decimal that stands for the same float32."""
    return float(str(np.float32(bound))) if _is_float32(signal) and float(np.float32(bound)) == bound else bound


def _rules(name: str, given: dict[str, Any]) -> list[Threshold | str] | None:
    """Thresholds and predicates of one step; None when no signal measures it, empty when it drops nothing."""
    if given.get("reversed_range"):
        return None
    if name == TEXT:
        column, texts = given.get("field_key"), given.get("target_value")
        good = isinstance(column, str) and isinstance(texts, list) and texts and all(isinstance(t, str) for t in texts)
        return [among(column, texts)] if good else None  # type: ignore[arg-type]
    if name not in DEFAULTS:
        return None
    said = DEFAULTS[name] | given
    operator = next((o for o in OPERATORS if o.step == name), Operator(str(said.get("field_key")), NUMBER, "min_value", "max_value"))
    bounds = [said.get(parameter) if parameter else None for parameter in (operator.minimum, operator.maximum)]
    if not operator.signal or any(b is not None and (isinstance(b, bool) or not isinstance(b, int | float)) for b in bounds):
        return None
    low, high = (None if b is None or abs(b) >= sys.maxsize else _short(operator.signal, b) for b in bounds)
    if name == "text_length_filter" and low == 0:
        low = None
    open_low, open_high = (
        (low is not None and not said.get("min_closed_interval", True)),
        (high is not None and not said.get("max_closed_interval", True)),
    )
    languages = said.get("lang") if name == "language_id_score_filter" else None
    texts = [languages] if isinstance(languages, str) and languages else languages or []
    rules: list[Threshold | str] = [among("lang", list(texts))] if texts else []
    sides = (
        [(low, high, open_low)]
        if open_low == open_high or low is None or high is None
        else [(low, None, open_low), (None, high, open_high)]
    )
    for lowest, highest, exclusive in sides:
        threshold = operator.threshold(lowest, highest, exclusive=exclusive or (lowest is None and open_high))
        rules += [threshold] if threshold else []
    return rules
