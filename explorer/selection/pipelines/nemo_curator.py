"""NeMo Curator's document filters (checked with nemo-curator 1.4.0: every file written here builds its stages).

Its heuristics are Gopher's rules over its own units: words are what spaces separate, lines are non-blank lines, paragraphs are
separated by two line breaks. They stand for the Gopher signals and are marked as different; every other rule becomes a ``Filter``
on a column that the documents carry.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from math import inf
from typing import Any

import yaml

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.pipelines.config import (
    KEEP,
    Call,
    Operator,
    PipelineConfig,
    PipelineFilters,
    among,
    called,
    difference,
    file_name,
    header,
    keep_call,
    kept_by,
    number,
    one_of,
    operator_for,
    parse,
    steps,
    unsaid,
)
from explorer.selection.threshold import Threshold

WORDS = "its words are separated by spaces, punctuation included"
LINES = "its lines are the non-blank ones"
# A step is read as the first signal named here that has it, so the exact ones come first.
OPERATORS = (
    Operator("n_words", "WordCountFilter", "min_words", "max_words"),
    Operator("gopher_n_words", "WordCountFilter", "min_words", "max_words", WORDS),
    Operator("gopher_mean_word_len", "MeanWordLengthFilter", "min_mean_word_length", "max_mean_word_length", WORDS),
    Operator(
        "gopher_bullet_line_frac", "BulletsFilter", maximum="max_bullet_lines_ratio", differs=f"{LINES} and its list of bullets is longer"
    ),
    Operator("gopher_ellipsis_line_frac", "EllipsisFilter", maximum="max_num_lines_ending_with_ellipsis_ratio", differs=LINES),
    Operator(
        "gopher_alpha_word_frac", "WordsWithoutAlphabetsFilter", minimum="min_words_with_alphabets", differs=f"{WORDS}; letters are a-z"
    ),
    Operator("gopher_stop_words", "CommonEnglishWordsFilter", minimum="min_num_common_words", differs=f"it counts occurrences; {WORDS}"),
    Operator("rep_dup_line_frac", "RepeatedLinesFilter", "max_repeated_line_fraction", differs=LINES, turned=True),
    Operator(
        "rep_dup_para_frac", "RepeatedParagraphsFilter", "max_repeated_paragraphs_ratio", differs="the text is not stripped", turned=True
    ),
    Operator(
        "rep_dup_line_char_frac",
        "RepeatedLinesByCharFilter",
        "max_repeated_lines_char_ratio",
        differs="it divides by the lines' characters",
        turned=True,
    ),
    Operator(
        "rep_dup_para_char_frac",
        "RepeatedParagraphsByCharFilter",
        "max_repeated_paragraphs_char_ratio",
        differs="it divides by the paragraphs' characters",
        turned=True,
    ),
    *(
        Operator(f"rep_top{n}_char_frac", f"RepeatingTopNGramsFilter(n={n})", maximum="max_repeating_ngram_ratio", differs=WORDS)
        for n in (2, 3, 4)
    ),
    *(
        Operator(
            f"rep_dup{n}_char_frac",
            f"RepeatingDuplicateNGramsFilter(n={n})",
            maximum="max_repeating_duplicate_ngram_ratio",
            differs=f"{WORDS}; overlapping repeats count each character once, spaces included",
        )
        for n in (5, 6, 7, 8, 9, 10)
    ),
)

# Every parameter with its default, in the order of the signature.
SIGNATURES: dict[str, dict[str, Any]] = {
    "WordCountFilter": {"min_words": 50, "max_words": 100000, "lang": "en"},
    "MeanWordLengthFilter": {"min_mean_word_length": 3, "max_mean_word_length": 10, "lang": "en"},
    "BulletsFilter": {"max_bullet_lines_ratio": 0.9},
    "EllipsisFilter": {"max_num_lines_ending_with_ellipsis_ratio": 0.3},
    "WordsWithoutAlphabetsFilter": {"min_words_with_alphabets": 0.8, "lang": "en"},
    "CommonEnglishWordsFilter": {"min_num_common_words": 2, "stop_at_false": True},
    "RepeatedLinesFilter": {"max_repeated_line_fraction": 0.7},
    "RepeatedParagraphsFilter": {"max_repeated_paragraphs_ratio": 0.7},
    "RepeatedLinesByCharFilter": {"max_repeated_lines_char_ratio": 0.8},
    "RepeatedParagraphsByCharFilter": {"max_repeated_paragraphs_char_ratio": 0.8},
    "RepeatingTopNGramsFilter": {"n": 2, "max_repeating_ngram_ratio": 0.2, "lang": "en"},
    "RepeatingDuplicateNGramsFilter": {"n": 2, "max_repeating_duplicate_ngram_ratio": 0.2, "lang": "en"},
}
OFF = {"min_words": 0, "max_words": inf, "min_mean_word_length": 0, "max_mean_word_length": inf}
MODULES = {
    "nemo_curator.stages.text.filters.heuristic": ("Bullets", "Common", "Ellipsis", "Mean", "Word"),
    "nemo_curator.stages.text.filters.heuristic.repetition": ("Repeat",),
}


def write(filters: Filters) -> PipelineConfig:
    """A Python module with the list ``stages``, to be added to a ``Pipeline`` between a reader and a writer."""
    lost: list[str] = []
    needs: list[str] = []
    names: set[str] = set()
    lines: list[str] = []
    for threshold in filters.filters:
        operator = operator_for(threshold, OPERATORS)
        if operator is None or threshold.exclusive:
            lines.append(_column(threshold.signal, threshold))
            needs.append(threshold.signal)
            continue
        name, _, n = operator.step.partition("(")
        given = {k: v for k, v in OFF.items() if k in (operator.minimum, operator.maximum)} | operator.parameters(threshold)
        said = [n.removesuffix(")")] if n else []
        said += [f"{parameter}={number(bound)}" for parameter, bound in given.items()]
        lines.append(f"ScoreFilter({name}({', '.join(said)}), text_field=TEXT)")
        names.add(name)
        lost += [difference(threshold, operator)] if operator.differs else []
    pick = one_of(filters.where) if filters.where else None
    if pick is not None:
        lines.append(_column(*pick))
        needs.append(pick[0])
    lost += unsaid(filters, where=pick is None)
    needs = list(dict.fromkeys(needs))
    notes = ["Add each of the list `stages` to your Pipeline: pipeline.add_stage(stage). TEXT is the field that holds the text."]
    imports = "import numpy as np\n" if needs else ""
    for module, starts in MODULES.items():
        chosen = sorted(n for n in names if n.startswith(starts))
        imports += f"from {module} import {', '.join(chosen)}\n" if chosen else ""
    stages = [s for s, used in (("Filter", needs), ("ScoreFilter", names)) if used]
    imports += f"from nemo_curator.stages.text.filters.score_filter import {', '.join(stages)}\n" if stages else ""
    body = "".join(f"    {line},\n" for line in lines)
    text = f'{header(filters, lost, needs, notes)}\n{imports}\nTEXT = "text"\n{KEEP + chr(10) if needs else ""}\nstages = [\n{body}]\n'
    return PipelineConfig(text, file_name(filters, "nemo_curator", "py"), "python", tuple(lost), tuple(needs))


def read(text: str) -> PipelineFilters:
    """Thresholds of the filter stages in a script, or in a YAML configuration with ``stages`` and ``_target_``."""
    found: list[Threshold] = []
    where: list[str] = []
    unread: list[str] = []
    for call, node in _stages(text):
        rule = _rule(call, node)
        if isinstance(rule, Threshold):
            found.append(rule)
        elif rule is not None and rule.startswith("where "):
            where.append(rule.removeprefix("where "))
        elif rule is None or rule:
            unread.append(rule or f"{call.source[:120]}: no signal measures it")
    said = where[0] if len(where) == 1 else " AND ".join(f"({w})" for w in where)
    return PipelineFilters(Filters(tuple(found), said), tuple(unread))


def _column(name: str, rule: Threshold | list[str]) -> str:
    return f"Filter(lambda value: {keep_call('value', rule)}, filter_field={name!r})"


def _stages(text: str) -> Iterator[tuple[Call, ast.Call | None]]:
    """The stages of a configuration in its own YAML or in Python; a ``ScoreFilter`` stands for each filter in it."""
    if "_target_" in text:
        try:
            said = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SelectionError(
                f"The nemo_curator configuration is not valid YAML: {str(error).splitlines()[0]}. Check the file."
            ) from error
        for stage in (said.get("stages") or []) if isinstance(said, dict) else []:
            inner = stage.get("filter_obj", stage) if isinstance(stage, dict) else stage
            for item in inner if isinstance(inner, list) else [inner]:
                if isinstance(item, dict) and "_target_" in item:
                    name = str(item["_target_"]).rsplit(".", 1)[-1]
                    arguments = {k: v for k, v in item.items() if k != "_target_"}
                    yield Call(name, arguments, (), f"{name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"), None
                else:
                    yield Call("", {}, (), repr(item)), None
        return
    tree = parse(text, "nemo_curator")
    inside: set[int] = set()
    for node in steps(tree):
        if id(node) in inside:
            continue
        if called(node).name == "ScoreFilter":
            given = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "filter_obj"), None)
            for item in given.elts if isinstance(given, ast.List | ast.Tuple) else [given]:
                if isinstance(item, ast.Call):
                    inside.add(id(item))
                    yield called(item), item
                else:
                    yield called(node), node
        else:
            yield called(node), node


def _rule(call: Call, node: ast.Call | None) -> Threshold | str | None:
    """A stage as a threshold, as "where …", as the reason why it was not read, or as "" when it has no limit."""
    if call.name == "Filter" and node is not None:
        function = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "filter_fn"), None)
        found, column = kept_by(function), call.bound({"filter_fn": None, "filter_field": None})["filter_field"]
        if found is None or not isinstance(column, str):
            return None
        rule = found[1]
        if not isinstance(rule, Threshold):
            return f"where {among(column, rule)}"
        return Threshold(column, rule.minimum, rule.maximum, rule.exclusive, rule.nulls)
    defaults = SIGNATURES.get(call.name)
    if defaults is None:
        return None
    said = call.bound(defaults)
    if said.get("lang", "en") != "en":
        return f"{call.source}: the signal is defined for English"
    operator = next((o for o in OPERATORS if o.step in (call.name, f"{call.name}(n={said.get('n')})")), None)
    if operator is None:
        return None
    bounds: list[float | None] = []
    for name in (operator.minimum, operator.maximum):
        bound: Any = said[name] if name else None
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float)):
            return f"{call.name}: {name} is {bound!r}, not a number"
        bounds.append(None if name in OFF and bound == OFF[name] else bound)
    return operator.threshold(*bounds) or ""
