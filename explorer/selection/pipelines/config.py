"""What every pipeline's file shares: the written config, what was read, and the table that ties operators to signals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isinf
from typing import Any

from explorer.corpus.database import literal
from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.threshold import Threshold


@dataclass(frozen=True)
class PipelineConfig:
    """Filters as a pipeline's own configuration.

    Attributes:
        text: the file; what it does not say is a comment at its top.
        filename: a name for it.
        language: "python" or "yaml".
        lost: what the pipeline cannot say, or says with a measure that differs from ours, and why.
        needs: columns that the pipeline's input must carry, because the pipeline does not compute them itself.

    """

    text: str
    filename: str
    language: str
    lost: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineFilters:
    """Filters read from a pipeline's configuration, and the parts of it that were not read, each with the reason."""

    filters: Filters
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operator:
    """A pipeline's operator that measures one of our signals.

    Attributes:
        signal: our signal.
        step: the operator's name in the pipeline.
        minimum, maximum: its parameters for the bounds; None where it has none.
        differs: how its measure differs from the signal; empty when it is the same.
        turned: the parameter holds 1 - bound (a share kept instead of a share repeated).

    """

    signal: str
    step: str
    minimum: str | None = None
    maximum: str | None = None
    differs: str = ""
    turned: bool = False

    def says(self, threshold: Threshold) -> bool:
        """Whether the operator has a parameter for every bound of the threshold, and its way with bounds and nulls."""
        low, high = (self.maximum, self.minimum) if self.turned else (self.minimum, self.maximum)
        fits = (threshold.minimum is None or low) and (threshold.maximum is None or high)
        return bool(fits) and threshold.signal == self.signal and threshold.nulls == "drop"

    def parameters(self, threshold: Threshold) -> dict[str, float]:
        """The operator's parameters for a threshold's bounds."""
        low, high = threshold.minimum, threshold.maximum
        if self.turned:
            low, high = turn(high), turn(low)
        pairs = ((self.minimum, low), (self.maximum, high))
        return {name: bound for name, bound in pairs if name and bound is not None}

    def threshold(self, low: float | None, high: float | None, *, exclusive: bool = False) -> Threshold | None:
        """The threshold for the operator's bounds; None when both are off."""
        if self.turned:
            low, high = turn(high), turn(low)
        low, high = (None if b is None or isinf(b) else b for b in (low, high))
        return None if low is None and high is None else Threshold(self.signal, low, high, exclusive)


def turn(bound: float | None) -> float | None:
    """1 - bound, without the noise of the subtraction in the last decimals."""
    return None if bound is None else round(1 - bound, 12)


def operator_for(threshold: Threshold, operators: Iterable[Operator]) -> Operator | None:
    """The first operator that can say a threshold; none for a bound that pipelines take for "no bound"."""
    if threshold.minimum in (0, -inf) or threshold.maximum == inf:
        return None
    return next((o for o in operators if o.says(threshold)), None)


def difference(threshold: Threshold, operator: Operator) -> str:
    """The line in ``lost`` for an operator that measures something close to the signal."""
    return f"{threshold} became {operator.step}, which differs: {operator.differs}"


def unsaid(filters: Filters, *, where: bool = True) -> list[str]:
    """The lines in ``lost`` for the predicate (unless it was said) and the sampler."""
    lost = [f"where {' '.join(filters.where.split())}: the pipeline has no SQL; filter by it beforehand"] if where and filters.where else []
    if filters.sample:
        lost.append(f"sample {filters.sample.to_dict()}: the pipeline filters documents one by one; sample its output")
    return lost


_NAME = r'(?P<{0}>"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_TEXT = r"'(?:[^']|'')*'"
_ONE_OF = re.compile(rf"\s*{_NAME.format('name')}\s*(?:=\s*(?P<one>{_TEXT})|IN\s*\(\s*(?P<many>{_TEXT}(?:\s*,\s*{_TEXT})*)\s*\))\s*", re.I)


def one_of(where: str) -> tuple[str, list[str]] | None:
    """(column, texts) of a predicate that says ``column = 'text'`` or ``column IN ('a', 'b')`` and nothing else."""
    found = _ONE_OF.fullmatch(where.strip().removeprefix("(").removesuffix(")")) or _ONE_OF.fullmatch(where)
    if found is None:
        return None
    name = found["name"]
    name = name[1:-1].replace('""', '"') if name.startswith('"') else name
    texts = re.findall(_TEXT, found["one"] or found["many"])
    return name, [t[1:-1].replace("''", "'") for t in texts]


def among(column: str, texts: Sequence[str]) -> str:
    """The predicate that `one_of` reads."""
    from explorer.corpus.database import quote

    name = column if re.fullmatch(r"[A-Za-z_]\w*", column) else quote(column)
    return f"{name} = {literal(texts[0])}" if len(texts) == 1 else f"{name} IN ({', '.join(map(literal, texts))})"


def header(filters: Filters, lost: Sequence[str], needs: Sequence[str], notes: Sequence[str] = ()) -> str:
    """Comment lines for the top of a config; both Python and YAML take them."""
    lines = [f"{filters.name or 'Filters'}, written by Corpus Explorer."]
    lines += [text for text in (filters.about, f"Source: {filters.source}" if filters.source else "") if text]
    lines += notes
    if needs:
        lines.append(f"Each document must carry these columns, as Corpus Explorer exports them: {', '.join(needs)}.")
    lines += [f"NOT THE SAME HERE: {line}" for line in lost]
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def file_name(filters: Filters, pipeline: str, suffix: str) -> str:
    """A file name from the filters' name."""
    stem = re.sub(r"[^A-Za-z0-9]+", "_", filters.name).strip("_").lower() or "filters"
    return f"{stem}_{pipeline}.{suffix}"


def number(bound: float) -> str:
    """A bound as Python source; whole numbers without a point."""
    if isinf(bound):
        return 'float("inf")' if bound > 0 else 'float("-inf")'
    return str(int(bound)) if float(bound).is_integer() and abs(bound) < 1e15 else repr(float(bound))


def plain(bound: float) -> float | int:
    """A bound as a YAML number; whole numbers without a point."""
    return int(bound) if not isinf(bound) and float(bound).is_integer() and abs(bound) < 1e15 else float(bound)


KEEP = '''
def keep(value, minimum=None, maximum=None, exclusive=False, nulls="drop", among=None):
    """Whether a document passes one rule on a column that it carries; bounds are compared in the column's own precision."""
    if value is None or value != value:
        return nulls == "keep"
    if among is not None:
        return value in among
    kind = np.float32 if float(np.float32(value)) == value else np.float64
    value = kind(value)
    low, high = (None if bound is None else kind(bound) for bound in (minimum, maximum))
    if exclusive:
        return bool((low is None or value > low) and (high is None or value < high))
    return bool((low is None or value >= low) and (high is None or value <= high))
'''


def keep_call(value: str, rule: Threshold | Sequence[str]) -> str:
    """Python source of one call of ``keep``."""
    if not isinstance(rule, Threshold):
        return f"keep({value}, among={list(rule)!r})"
    said = [f"{name}={number(bound)}" for name, bound in (("minimum", rule.minimum), ("maximum", rule.maximum)) if bound is not None]
    said += ["exclusive=True"] if rule.exclusive else []
    said += ['nulls="keep"'] if rule.nulls == "keep" else []
    return f"keep({', '.join([value, *said])})"


@dataclass(frozen=True)
class Call:
    """A call in somebody's Python source, or a step of their YAML: its name and arguments, nothing executed."""

    name: str
    arguments: Mapping[str, Any]
    positional: tuple[Any, ...] = ()
    source: str = ""

    def bound(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, defaults filled in; ``defaults`` is in the order of the signature."""
        return {**defaults, **dict(zip(defaults, self.positional, strict=False)), **self.arguments}


class NotPlain:
    """Stands for an argument that is not a plain value (a variable, a function)."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __repr__(self) -> str:
        return self.source


def parse(text: str, pipeline: str) -> ast.Module:
    """Python source as a tree; it is never run."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise SelectionError(
            f"The {pipeline} pipeline is not valid Python ({said}). It must be the script or snippet that builds the pipeline. Check the file."
        ) from error


def called(node: ast.Call) -> Call:
    """A call's name and arguments."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    return Call(
        name,
        {k.arg: value(k.value) for k in node.keywords if k.arg},
        tuple(value(a) for a in node.args),
        " ".join(ast.unparse(node).split()),
    )


def value(node: ast.expr) -> Any:
    """A literal's value; `NotPlain` for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float" and len(node.args) == 1:
        node = node.args[0]
        text = node.value if isinstance(node, ast.Constant) else None
        return float(text) if text in ("inf", "-inf") else NotPlain(ast.unparse(node))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return NotPlain(ast.unparse(node))


def steps(tree: ast.AST) -> list[ast.Call]:
    """Calls that build pipeline steps, in the order written: CamelCase names in a list or passed to ``add_stage``."""
    found: list[ast.Call] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple):
            found += [e for e in node.elts if isinstance(e, ast.Call)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("add_stage", "append"):
            found += [a for a in node.args if isinstance(a, ast.Call)]
        elif (
            isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr)
            and isinstance(node.value, ast.Call)
            and called(node.value).name.endswith("Filter")
        ):
            found.append(node.value)
    unique = {id(n): n for n in found if called(n).name[:1].isupper()}
    return sorted(unique.values(), key=lambda n: (n.lineno, n.col_offset))


def kept_by(node: ast.expr | None) -> tuple[ast.expr, Threshold | list[str]] | None:
    """(value read, rule) of a ``lambda …: keep(value, …)`` as `keep_call` writes it; the threshold's signal is left as "?"."""
    if not (isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call) and called(node.body).name == "keep" and node.body.args):
        return None
    said = dict(called(node.body).arguments)
    if isinstance(said.get("among"), list):
        return node.body.args[0], [str(t) for t in said["among"]]
    try:
        return node.body.args[0], Threshold("?", **said)
    except (TypeError, SelectionError):
        return None
