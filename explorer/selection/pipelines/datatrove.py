"""datatrove's filter steps (checked with datatrove 0.10.1: every file written here builds its steps and drops what our rules drop).

datatrove drops when a value is *beyond* its limit, so limits are inclusive, as ours; only ``LanguageFilter`` keeps scores *above*
its threshold. In the Gopher filters 0 and None switch a limit off: a limit of 0 is therefore written as a filter on the column.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from math import inf
from typing import Any

from explorer.selection.filters import Filters
from explorer.selection.pipelines.config import (
    KEEP,
    Call,
    NotPlain,
    Operator,
    PipelineConfig,
    PipelineFilters,
    among,
    called,
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

# Signatures in their order, with defaults; options that are no limit come with the limits, to be recognised when they are set.
SIGNATURES: dict[str, dict[str, Any]] = {
    "GopherRepetitionFilter": {
        "dup_line_frac": 0.3,
        "dup_para_frac": 0.3,
        "dup_line_char_frac": 0.2,
        "dup_para_char_frac": 0.2,
        "top_n_grams": ((2, 0.2), (3, 0.18), (4, 0.16)),
        "dup_n_grams": ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)),
        "exclusion_writer": None,
        "language": "eng",
    },
    "GopherQualityFilter": {
        "min_doc_words": 50,
        "max_doc_words": 100000,
        "min_avg_word_length": 3,
        "max_avg_word_length": 10,
        "max_symbol_word_ratio": 0.1,
        "max_bullet_lines_ratio": 0.9,
        "max_ellipsis_lines_ratio": 0.3,
        "max_non_alpha_words_ratio": 0.8,
        "min_stop_words": 2,
        "stop_words": None,
        "exclusion_writer": None,
        "language": "eng",
    },
    "C4QualityFilter": {
        "exclusion_writer": None,
        "split_paragraph": True,
        "remove_citations": True,
        "filter_no_terminal_punct": True,
        "min_num_sentences": 5,
        "min_words_per_line": 3,
        "max_word_length": 1000,
        "filter_lorem_ipsum": True,
        "filter_javascript": True,
        "filter_curly_bracket": True,
        "filter_policy": True,
        "language": "eng",
    },
    "FineWebQualityFilter": {
        "exclusion_writer": None,
        "line_punct_thr": 0.12,
        "line_punct_exclude_zero": False,
        "stop_chars": None,
        "short_line_thr": 0.67,
        "short_line_length": 30,
        "char_duplicates_ratio": 0.01,
        "new_line_ratio": 0.3,
        "language": "eng",
    },
    "LanguageFilter": {
        "languages": None,
        "language_threshold": 0.65,
        "exclusion_writer": None,
        "backend": "ft176",
        "label_only": False,
        "keep_top_pairs_threshold": -1,
    },
}

# In the order in which datatrove checks. ``top_n_grams.2`` is the entry for n = 2 of that parameter.
OPERATORS = (
    Operator("rep_dup_para_frac", "GopherRepetitionFilter", maximum="dup_para_frac"),
    Operator("rep_dup_para_char_frac", "GopherRepetitionFilter", maximum="dup_para_char_frac"),
    Operator("rep_dup_line_frac", "GopherRepetitionFilter", maximum="dup_line_frac"),
    Operator("rep_dup_line_char_frac", "GopherRepetitionFilter", maximum="dup_line_char_frac"),
    *(Operator(f"rep_top{n}_char_frac", "GopherRepetitionFilter", maximum=f"top_n_grams.{n}") for n in (2, 3, 4)),
    *(Operator(f"rep_dup{n}_char_frac", "GopherRepetitionFilter", maximum=f"dup_n_grams.{n}") for n in (5, 6, 7, 8, 9, 10)),
    Operator("gopher_n_words", "GopherQualityFilter", "min_doc_words", "max_doc_words"),
    Operator("gopher_mean_word_len", "GopherQualityFilter", "min_avg_word_length", "max_avg_word_length"),
    Operator("gopher_hash_ratio", "GopherQualityFilter", maximum="max_symbol_word_ratio"),
    Operator("gopher_ellipsis_ratio", "GopherQualityFilter", maximum="max_symbol_word_ratio"),
    Operator("gopher_bullet_line_frac", "GopherQualityFilter", maximum="max_bullet_lines_ratio"),
    Operator("gopher_ellipsis_line_frac", "GopherQualityFilter", maximum="max_ellipsis_lines_ratio"),
    Operator("gopher_alpha_word_frac", "GopherQualityFilter", minimum="max_non_alpha_words_ratio"),  # misnamed there: a minimum
    Operator("gopher_stop_words", "GopherQualityFilter", minimum="min_stop_words"),
    Operator("fw_line_punct_ratio", "FineWebQualityFilter", minimum="line_punct_thr"),
    Operator("fw_short_line_ratio", "FineWebQualityFilter", maximum="short_line_thr"),
    Operator("fw_char_dup_ratio", "FineWebQualityFilter", maximum="char_duplicates_ratio"),
    Operator("fw_newline_word_ratio", "FineWebQualityFilter", maximum="new_line_ratio"),
)

# What switches each limit off, since leaving a parameter out means its default.
OFF: dict[str, dict[str, Any]] = {
    "GopherRepetitionFilter": {name: None for name in list(SIGNATURES["GopherRepetitionFilter"])[:4]}
    | {"top_n_grams": {}, "dup_n_grams": {}},
    "GopherQualityFilter": dict.fromkeys(list(SIGNATURES["GopherQualityFilter"])[:9]),
    "FineWebQualityFilter": {"line_punct_thr": 0, "short_line_thr": inf, "char_duplicates_ratio": inf, "new_line_ratio": inf},
}
ZERO_IS_OFF = ("GopherRepetitionFilter", "GopherQualityFilter")
C4 = {"c4_keep": True, "c4nt_keep": False}  # signal -> filter_no_terminal_punct
EDITS = "C4QualityFilter also rewrites each page to the lines that survive, so the steps after it measure the edited text"
SYMBOLS = ("gopher_hash_ratio", "gopher_ellipsis_ratio")


def write(filters: Filters) -> PipelineConfig:
    """A Python module with the list ``filters``, to be put between a reader and a writer."""
    lost: list[str] = []
    needs: list[str] = []
    limits: dict[str, dict[str, Any]] = {}
    lines: dict[str, str] = {}  # source of each step, in the order in which its first threshold comes
    pick = one_of(filters.where) if filters.where else None
    said_where = False

    def column(name: str, rule: Threshold | list[str]) -> None:
        line = f"LambdaFilter(lambda doc: {keep_call(f'doc.metadata.get({name!r})', rule)})"
        lines[line] = line
        needs.append(name)

    for threshold in filters.filters:
        operator = _operator(threshold, filters, limits)
        if operator is not None:
            said = limits.setdefault(operator.step, {**OFF[operator.step]})
            for parameter, bound in operator.parameters(threshold).items():
                name, _, n = parameter.partition(".")
                said[name] = {**said[name], int(n): bound} if n else bound
            lines[operator.step] = _step(operator.step, said)
        elif _is_c4(threshold) and "C4QualityFilter" not in lines:
            lines["C4QualityFilter"] = f"C4QualityFilter({'' if C4[threshold.signal] else 'filter_no_terminal_punct=False'})"
            lost.append(f"{threshold}: {EDITS}")
        elif _is_language(threshold, pick) and "LanguageFilter" not in lines:
            said_where = pick is not None and pick[0] == "lang"
            languages = f"languages={pick[1]!r}, " if pick and said_where else ""
            lines["LanguageFilter"] = f"LanguageFilter({languages}language_threshold={number(threshold.minimum or 0)})"
        else:
            column(threshold.signal, threshold)
    if pick is not None and not said_where:
        column(*pick)
    lost += unsaid(filters, where=pick is None)
    needs = list(dict.fromkeys(needs))
    steps_used = sorted({line.partition("(")[0] for line in lines.values()})
    imports = ("import numpy as np\n" if needs else "") + (
        f"from datatrove.pipeline.filters import {', '.join(steps_used)}\n" if steps_used else ""
    )
    body = "".join(f"    {line},\n" for line in lines.values())
    text = f"{header(filters, lost, needs, _notes(steps_used))}\n{imports}{KEEP if needs else ''}\nfilters = [\n{body}]\n"
    return PipelineConfig(text, file_name(filters, "datatrove", "py"), "python", tuple(lost), tuple(needs))


def read(text: str) -> PipelineFilters:
    """Thresholds of the filter steps in a script or snippet."""
    found: list[Threshold] = []
    where: list[str] = []
    unread: list[str] = []
    for node in steps(parse(text, "datatrove")):
        call = called(node)
        if call.name in SIGNATURES:
            thresholds, predicate, problems = _READ.get(call.name, _limits)(call)
            found += thresholds
            where += [predicate] if predicate else []
            unread += problems
        elif call.name == "LambdaFilter" and (rule := _lambda(node)) is not None:
            if isinstance(rule, Threshold):
                found.append(rule)
            else:
                where.append(rule)
        else:
            unread.append(f"{call.source[:120]}: no signal measures it")
    return PipelineFilters(
        Filters(tuple(found), " AND ".join(where) if len(where) < 2 else " AND ".join(f"({w})" for w in where)), tuple(unread)
    )


def _operator(threshold: Threshold, filters: Filters, limits: Mapping[str, Mapping[str, Any]]) -> Operator | None:
    """The step that says a threshold; None for a limit that means off there, an exclusive bound or a parameter that is taken."""
    operator = operator_for(threshold, OPERATORS)
    if operator is None or threshold.exclusive:
        return None
    if threshold.signal in SYMBOLS:  # one parameter limits both
        twins = {t.maximum for t in filters.filters if t.signal in SYMBOLS}
        if len(twins) > 1 or not set(SYMBOLS) <= set(filters.signals):
            return None
    for parameter, bound in operator.parameters(threshold).items():
        name, _, n = parameter.partition(".")
        if bound == 0 and not n and operator.step in ZERO_IS_OFF:
            return None
        off = OFF[operator.step][name]
        now = limits.get(operator.step, OFF[operator.step])[name]
        now, off = (now.get(int(n)), None) if n else (now, off)
        if bound == off or now not in (off, bound):
            return None
    return operator


def _is_c4(threshold: Threshold) -> bool:
    """Whether a threshold is C4's own verdict."""
    asks = threshold.minimum is not None and 0 < threshold.minimum <= 1 and threshold.maximum is None
    return threshold.signal in C4 and asks and not threshold.exclusive and threshold.nulls == "drop"


def _is_language(threshold: Threshold, pick: tuple[str, list[str]] | None) -> bool:
    """Whether ``LanguageFilter`` says it: with languages given it keeps any of them above the threshold, the top one or not."""
    if threshold.signal != "lang_score" or threshold.minimum is None or threshold.maximum is not None:
        return False
    alone = pick is None or pick[0] != "lang"
    return threshold.exclusive and threshold.nulls == "drop" and (alone or threshold.minimum >= 0.5)


def _step(step: str, parameters: Mapping[str, Any]) -> str:
    said = []
    for name, bound in parameters.items():
        if isinstance(bound, Mapping):
            pairs = "".join(f"({n}, {number(b)}), " for n, b in bound.items())
            said.append(f"{name}=({pairs.rstrip()})")
        else:
            said.append(f"{name}={None if bound is None else number(bound)}")
    return f"{step}(\n" + "".join(f"        {line},\n" for line in said) + "    )"


def _notes(steps_used: list[str]) -> list[str]:
    notes = ["Put the list `filters` between your reader and your writer."]
    if "LanguageFilter" in steps_used:
        notes.append("LanguageFilter downloads lid.176.bin; scores of the packaged lid.176.ftz differ from it in the second decimal.")
    if "LambdaFilter" in steps_used:
        notes.append("LambdaFilter reads doc.metadata: have the reader keep the columns below.")
    return notes


def _limits(call: Call) -> tuple[list[Threshold], str, list[str]]:
    """Thresholds of the Gopher and FineWeb steps."""
    defaults = SIGNATURES[call.name]
    said = call.bound(defaults)
    limits = {o.minimum for o in OPERATORS if o.step == call.name} | {o.maximum for o in OPERATORS if o.step == call.name}
    limits = {name.partition(".")[0] for name in limits if name}
    unread = [
        f"{call.name}({name}={given!r}): the signal is defined with {name}={defaults.get(name)!r}"
        for name, given in said.items()
        if name not in limits and name != "exclusion_writer" and not _same(given, defaults.get(name))
    ]
    found: list[Threshold] = []
    for operator in (o for o in OPERATORS if o.step == call.name):
        low, high = (_bound(said, name, call.name) for name in (operator.minimum, operator.maximum))
        problem = next((b for b in (low, high) if isinstance(b, NotPlain)), None)
        if problem is not None:
            unread.append(f"{call.name}: the limit of {operator.signal} is {problem!r}, not a number")
        elif (threshold := operator.threshold(low, high)) is not None:  # type: ignore[arg-type]
            found.append(threshold)
    for name in ("top_n_grams", "dup_n_grams"):
        known = {int(o.maximum.partition(".")[2]) for o in OPERATORS if o.maximum and o.maximum.startswith(f"{name}.")}
        pairs = said.get(name, ())
        if isinstance(pairs, tuple | list):
            unread += [f"{call.name}({name}: n={p[0]!r}): no signal measures it" for p in pairs if p[0] not in known]
    return found, "", unread


def _bound(said: Mapping[str, Any], parameter: str | None, step: str) -> float | NotPlain | None:
    if parameter is None:
        return None
    name, _, n = parameter.partition(".")
    given = said[name]
    if n and isinstance(given, tuple | list):
        return next((p[1] for p in given if p[0] == int(n)), None)
    if given is None or (step in ZERO_IS_OFF and given == 0) or (name == "line_punct_thr" and given == 0):
        return None
    return given if isinstance(given, int | float) and not isinstance(given, bool) else NotPlain(repr(given))


def _same(given: Any, default: Any) -> bool:
    return given == default or repr(given) in ("Languages.english", "'en'") or (isinstance(given, list | tuple) and given == default)


def _c4(call: Call) -> tuple[list[Threshold], str, list[str]]:
    defaults = SIGNATURES["C4QualityFilter"]
    said = call.bound(defaults)
    rule = said.pop("filter_no_terminal_punct")
    other = [f"{n}={v!r}" for n, v in said.items() if n != "exclusion_writer" and not _same(v, defaults.get(n))]
    if other or not isinstance(rule, bool):
        return (
            [],
            "",
            [f"C4QualityFilter({', '.join(other) or f'filter_no_terminal_punct={rule!r}'}): the signals are computed with its defaults"],
        )
    signal = next(name for name, on in C4.items() if on is rule)
    return [Threshold(signal, minimum=1)], "", []


def _language(call: Call) -> tuple[list[Threshold], str, list[str]]:
    defaults = SIGNATURES["LanguageFilter"]
    said = call.bound(defaults)
    languages, bound = said["languages"], said["language_threshold"]
    unread = [
        f"LanguageFilter({n}={said[n]!r}): the signal is defined with {n}={defaults[n]!r}"
        for n in ("backend", "label_only")
        if said[n] != defaults[n]
    ]
    if said["label_only"] is True:
        return [], "", ["LanguageFilter(label_only=True): it drops nothing"]
    names = [languages] if isinstance(languages, str) else languages
    if not isinstance(bound, int | float) or not (
        names is None or (isinstance(names, list | tuple) and all(isinstance(n, str) for n in names))
    ):
        return [], "", [f"{call.source}: its languages and threshold are not plain values"]
    return [Threshold("lang_score", minimum=bound, exclusive=True)], among("lang", list(names)) if names else "", unread


_READ = {"C4QualityFilter": _c4, "LanguageFilter": _language}


def _lambda(node: ast.Call) -> Threshold | str | None:
    """The rule of ``LambdaFilter(lambda doc: keep(doc.metadata.get("column"), …))``."""
    given = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "filter_function"), None)
    found = kept_by(given)
    if found is None:
        return None
    read_from, rule = found
    if not (isinstance(read_from, ast.Call) and ast.unparse(read_from.func) == "doc.metadata.get" and read_from.args):
        return None
    name = read_from.args[0].value if isinstance(read_from.args[0], ast.Constant) else None
    if not isinstance(name, str):
        return None
    return Threshold(name, rule.minimum, rule.maximum, rule.exclusive, rule.nulls) if isinstance(rule, Threshold) else among(name, rule)
