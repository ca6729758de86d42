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
EMPTY = "empty"


def write(filters: Filters) -> PipelineConfig:
    """A Python module with the list ``filters``, to be put between a reader and a writer."""
    lost: list[str] = []
    needs: list[str] = []
    imports: set[str] = set()
    groups: dict[str, dict[str, Any]] = {}
    lines: dict[str, str] = {}
    pick = one_of(filters.where) if filters.where else None
    symbols = {t.maximum for t in filters.filters if t.signal in ("gopher_hash_ratio", "gopher_ellipsis_ratio")}
    both = len(symbols) == 1 and {"gopher_hash_ratio", "gopher_ellipsis_ratio"} <= set(filters.signals)
    for threshold in filters.filters:
        operator = operator_for(threshold, OPERATORS)
        if operator is not None and (_unsayable(threshold, operator, groups) or (operator.maximum == "max_symbol_word_ratio" and not both)):
            operator = None
        if operator is not None:
            parameters = groups.setdefault(operator.step, {**OFF[operator.step]})
            for name, bound in operator.parameters(threshold).items():
                name, _, n = name.partition(".")
                if n:
                    parameters[name] = {**parameters[name], int(n): bound}
                else:
                    parameters[name] = bound
            lines.setdefault(operator.step, "")
            imports.add(operator.step)
        elif (
            threshold.signal in C4
            and threshold.minimum is not None
            and 0 < threshold.minimum <= 1
            and threshold.maximum is None
            and not threshold.exclusive
            and threshold.nulls == "drop"
            and not any("C4QualityFilter" in s for s in lines.values())
        ):
            lines[threshold.signal] = "C4QualityFilter()" if C4[threshold.signal] else "C4QualityFilter(filter_no_terminal_punct=False)"
            imports.add("C4QualityFilter")
            lost.append(f"{threshold}: {EDITS}")
        elif _is_language(threshold, pick) and "LanguageFilter" not in imports:
            languages = pick[1] if pick and pick[0] == "lang" else None
            said = f"languages={languages!r}, " if languages else ""
            lines["LanguageFilter"] = f"LanguageFilter({said}language_threshold={number(threshold.minimum or 0)})"
            imports.add("LanguageFilter")
            pick = None if languages else pick
        else:
            lines[f"column {len(lines)}"] = _column(threshold.signal, threshold)
            needs.append(threshold.signal)
            imports.add("LambdaFilter")
    said_where = "LanguageFilter" in imports and pick is None
    if pick is not None:
        lines[f"column {len(lines)}"] = _column(pick[0], pick[1])
        needs.append(pick[0])
        imports.add("LambdaFilter")
        said_where = True
    for step, parameters in groups.items():
        lines[step] = _step(step, parameters)
    lost += unsaid(filters, where=not said_where)
    needs = list(dict.fromkeys(needs))
    top = header(filters, lost, needs, _notes(imports, needs))
    helper = f"\nimport numpy as np\nfrom datatrove.pipeline.filters import {', '.join(sorted(imports))}\n\n{KEEP}\n" if needs else ""
    plain_import = f"\nfrom datatrove.pipeline.filters import {', '.join(sorted(imports))}\n" if imports and not needs else ""
    body = "".join(f"    {line},\n" for line in lines.values())
    return PipelineConfig(
        f"{top}{helper or plain_import}\nfilters = [\n{body}]\n", file_name(filters, "datatrove", "py"), "python", tuple(lost), tuple(needs)
    )


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


def _unsayable(threshold: Threshold, operator: Operator, groups: Mapping[str, Mapping[str, Any]]) -> bool:
    """A limit of 0 (off, there), an exclusive bound, or a parameter that another threshold of these filters took already."""
    bounds = operator.parameters(threshold)
    if threshold.exclusive or (operator.step in ZERO_IS_OFF and 0 in bounds.values() and not any("." in name for name in bounds)):
        return True
    taken = groups.get(operator.step, {})
    for name, bound in bounds.items():
        name, _, n = name.partition(".")
        now = taken.get(name, {}).get(int(n)) if n else taken.get(name, OFF[operator.step][name])
        if now not in (None, OFF[operator.step][name], bound):
            return True
    return False


def _is_language(threshold: Threshold, pick: tuple[str, list[str]] | None) -> bool:
    """Whether ``LanguageFilter`` says it: with languages given it keeps any of them above the threshold, the top one or not."""
    if threshold.signal != "lang_score" or threshold.minimum is None or threshold.maximum is not None:
        return False
    alone = pick is None or pick[0] != "lang"
    return threshold.exclusive and threshold.nulls == "drop" and (alone or threshold.minimum >= 0.5)


def _column(name: str, rule: Threshold | list[str]) -> str:
    return f"LambdaFilter(lambda doc: {keep_call(f'doc.metadata.get({name!r})', rule)})"


def _step(step: str, parameters: Mapping[str, Any]) -> str:
    said = []
    for name, bound in parameters.items():
        if isinstance(bound, Mapping):
            pairs = "".join(f"({n}, {number(b)}), " for n, b in bound.items())
            said.append(f"{name}=({pairs.rstrip()})")
        else:
            said.append(f"{name}={None if bound is None else number(bound)}")
    return f"{step}(\n" + "".join(f"        {line},\n" for line in said) + "    )"


def _notes(imports: set[str], needs: list[str]) -> list[str]:
    notes = ["Put the list `filters` between your reader and your writer."]
    if "LanguageFilter" in imports:
        notes.append("LanguageFilter downloads lid.176.bin; scores of the packaged lid.176.ftz differ from it in the second decimal.")
    if needs:
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
