"""dolma's mixer (checked with dolma 1.2.1: its own command keeps exactly the documents that our rules keep).

The mixer compares attributes, which are files beside the documents; every signal becomes one attribute ``explorer__<signal>``:
``{"id": …, "attributes": {"explorer__gopher_n_words": [[0, 812, 143.0]]}}``, the spans empty where the signal is undefined. Each
threshold is one jq expression in ``exclude``: the mixer drops a document when any of them is true (``include`` keeps a document
when any is true, so it cannot hold several rules).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.pipelines.config import PipelineConfig, PipelineFilters, file_name, header, plain, unsaid
from explorer.selection.threshold import Threshold

PREFIX = "explorer__"
_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SIGN = r"<=|>=|<|>"
_VALUE = r"\(?\s*\.attributes\.(?P<name>\w+|\"[^\"]+\")\[0\]\[2\]\s*\)?\??(?:\s*//\s*null)?"
_DROP = re.compile(rf"\s*{_VALUE}\s*\|\s*\.\s*(?P<null>==|!=)\s*null\s*(?P<glue>and|or)\s*\(?(?P<rest>.*?)\)?\s*")
_SIDE = re.compile(rf"\s*\.\s*(?P<sign>{_SIGN})\s*(?P<bound>{_NUMBER})\s*")
_PLAIN = re.compile(rf"\s*{_VALUE}\s*(?P<sign>{_SIGN})\s*(?P<bound>{_NUMBER})\s*")
_JSONPATH = re.compile(r"\$\.attributes\[\?\((?P<inner>.*)\)\]")
_AT = re.compile(rf"\s*@\.(?P<name>\w+)\[0\]\[2\]\s*(?P<sign>{_SIGN})\s*(?P<bound>{_NUMBER})\s*")
_EXISTS = re.compile(r"\s*@\.\w+(?:\[0\])?\s*")
_KEEPS = {">=": ("minimum", False), ">": ("minimum", True), "<=": ("maximum", False), "<": ("maximum", True)}
_DROPS = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def write(filters: Filters) -> PipelineConfig:
    """A YAML configuration for ``dolma mix`` with one stream, whose paths are left to fill in."""
    lost = unsaid(filters)
    needs = list(dict.fromkeys(t.signal for t in filters.filters))
    name = re.sub(r"\W+", "_", filters.name) or "filtered"
    stream: dict[str, Any] = {
        "name": name,
        "documents": ["DATA/documents/*.jsonl.gz"],
        "attributes": ["explorer"],
        "output": {"path": "OUTPUT", "max_size_in_bytes": 4_000_000_000},
        "filter": {"syntax": "jq", "include": [], "exclude": [_drop(t) for t in filters.filters]},
    }
    said = {"streams": [stream], "processes": 1, "work_dir": {"input": "WORK/input", "output": "WORK/output"}}
    notes = [
        "Set DATA, OUTPUT and WORK, then run: dolma -c THIS_FILE mix",
        "Attributes lie beside the documents in DATA/attributes/explorer, one line a document in the same order, named explorer__<column>;",
        "a value is written with the shortest decimal of its float32 (0.1, not 0.10000000149), an undefined one as an empty list.",
    ]
    text = header(filters, lost, needs, notes) + yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=1000)
    return PipelineConfig(text, file_name(filters, "dolma", "yaml"), "yaml", tuple(lost), tuple(needs))


def read(text: str) -> PipelineFilters:
    """Thresholds of the streams' filters, in YAML or JSON; streams with different filters are refused."""
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SelectionError(f"The dolma configuration is not valid YAML or JSON: {str(error).splitlines()[0]}. Check the file.") from error
    streams = said.get("streams") if isinstance(said, dict) else None
    if not isinstance(streams, list) or not all(isinstance(s, dict) for s in streams):
        raise SelectionError("The dolma configuration has no list 'streams'. It must be a mixer configuration. Check the file.")
    distinct = {yaml.safe_dump(s.get("filter") or {}): s.get("filter") or {} for s in streams}
    if len(distinct) > 1:
        names = ", ".join(repr(s.get("name")) for s in streams)
        raise SelectionError(
            f"The dolma streams {names} have different filters. One set of filters is read at a time. Keep one stream in the text."
        )
    found: list[Threshold] = []
    unread = [f"{stream.get('name')}: span_replacement edits text" for stream in streams if stream.get("span_replacement")]
    for rule in distinct.values():
        include, exclude = rule.get("include") or [], rule.get("exclude") or []
        if len(include) > 1:
            unread.append(f"include {include}: the mixer keeps a document when any of these is true; thresholds must all be")
            include = []
        for expression, drops in [*((e, False) for e in include), *((e, True) for e in exclude)]:
            thresholds = _thresholds(str(expression), drops=drops)
            if thresholds is None:
                unread.append(
                    f"{'exclude' if drops else 'include'} {expression!r}: it is not a comparison of one attribute's first value with a number"
                )
            else:
                found += thresholds
    return PipelineFilters(Filters(tuple(_paired(found))), tuple(unread))


def _drop(threshold: Threshold) -> str:
    """The jq expression that is true for a document to drop."""
    low, high = ("<=", ">=") if threshold.exclusive else ("<", ">")
    sides = [f". {low} {plain(threshold.minimum)!r}"] if threshold.minimum is not None else []
    sides += [f". {high} {plain(threshold.maximum)!r}"] if threshold.maximum is not None else []
    name = f"{PREFIX}{threshold.signal}"
    key = name if re.fullmatch(r"\w+", name, re.ASCII) else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    value = f"(.attributes.{key}[0][2])? // null"
    return (
        f"{value} | . == null or {' or '.join(sides)}" if threshold.nulls == "drop" else f"{value} | . != null and ({' or '.join(sides)})"
    )


def _thresholds(expression: str, *, drops: bool) -> list[Threshold] | None:
    """What an expression keeps; None when it says something else than bounds."""
    path = _JSONPATH.fullmatch(expression.strip())
    if path is not None:
        glue, missing = ("||", "keep") if drops else ("&&", "drop")  # a JSONPath filter matches nothing where the value is missing
        parts = [p for p in path["inner"].split(glue) if not _EXISTS.fullmatch(p)]
        sides = [_AT.fullmatch(p) for p in parts]
        return None if not sides or not all(sides) else [_threshold(m["name"], m["sign"], m["bound"], drops, missing) for m in sides if m]
    found = _DROP.fullmatch(expression)
    if found is not None:
        if not drops or (found["null"], found["glue"]) not in (("==", "or"), ("!=", "and")):
            return None
        pairs = [_SIDE.fullmatch(p) for p in found["rest"].split(" or ")]
        nulls = "drop" if found["null"] == "==" else "keep"
        return None if not all(pairs) else [_threshold(found["name"], m["sign"], m["bound"], True, nulls) for m in pairs if m]
    sides = [_PLAIN.fullmatch(p) for p in expression.split(" or " if drops else " and ")]
    if not all(sides):
        return None
    # In jq null is less than every number: an undefined value passes "< bound" and fails "> bound".
    return [
        _threshold(m["name"], m["sign"], m["bound"], drops, "keep" if (m["sign"] in ("<", "<=")) is not drops else "drop")
        for m in sides
        if m
    ]


def _threshold(name: str, sign: str, bound: str, drops: bool, nulls: Any) -> Threshold:
    side, exclusive = _KEEPS[_DROPS[sign] if drops else sign]
    value = float(bound) if re.search(r"[.eE]", bound) else int(bound)
    return Threshold(name.strip('"').removeprefix(PREFIX), exclusive=exclusive, nulls=nulls, **{side: value})  # type: ignore[arg-type]


def _paired(found: list[Threshold]) -> list[Threshold]:
    """A minimum followed by a maximum on the same signal becomes one threshold."""
    paired: list[Threshold] = []
    for threshold in found:
        last = paired[-1] if paired else None
        if (
            last is not None
            and (last.signal, last.exclusive, last.nulls) == (threshold.signal, threshold.exclusive, threshold.nulls)
            and last.maximum is None
            and threshold.minimum is None
        ):
            paired[-1] = Threshold(last.signal, last.minimum, threshold.maximum, last.exclusive, last.nulls)
        else:
            paired.append(threshold)
    return paired
