"""Source code as tokens, in the seven languages of ObscuraX: keywords, names, literals, comments, and how lines are indented.

A lexer of our own, by one regular expression a language: it takes time in proportion to the text whatever the text (ready-made lexers have
patterns that take minutes for twenty kilobytes of ``a a a``), and survives code that does not parse. It tells tokens by their looks and knows
no scopes: a name is a name, whether variable, function, type or module, built-in ones among them. Operators are single characters, so that
blanks between them do not matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

KEYWORD, NAME, LITERAL, OTHER = "keyword", "name", "literal", "other"
INDENT, DEDENT = "indent", "dedent"  # texts of OTHER tokens, where blocks are told by indentation
MOST_CHARS = 1 << 22

_KEYWORDS = {
    "c": "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local",
    "cpp": "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class compl concept const const_cast consteval constexpr constinit continue co_await co_return co_yield decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq",
    "go": "break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var",
    "java": "abstract assert boolean break byte case catch char class const continue default do double else enum extends final finally float for goto if implements import instanceof int interface long native new package private protected public return short static strictfp super switch synchronized this throw throws transient try void volatile while true false null",
    "python": "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield",
    "rust": "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while",
    "typescript": "abstract any as async await boolean break case catch class const continue declare default delete do else enum export extends false finally for from function get if implements import in infer instanceof interface is keyof let module namespace never new null number object of package private protected public readonly require return set static string super switch symbol this throw true try type typeof undefined unique unknown var void while with yield",
}  # fmt: skip
_ALIASES = {
    "python3": "python", "py": "python", "c++": "cpp", "cxx": "cpp", "golang": "go", "rs": "rust", "ts": "typescript", "tsx": "typescript",
    "javascript": "typescript", "js": "typescript", "jsx": "typescript",
}  # fmt: skip

_DOUBLE = r'"(?:[^"\\\n]|\\[\s\S])*"?'  # to the end of its line where it is not closed
_SINGLE = r"'(?:[^'\\\n]|\\[\s\S])*'?"
_BLOCK = r"/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)"
_NUMBER = r"(?:0[xXbBoO][\da-fA-F_]+|\d[\d_']*(?:\.(?![._a-zA-Z])[\d_]*)?(?:[eEpP][+-]?\d+)?|(?<![.\w])\.\d[\d_]*(?:[eE][+-]?\d+)?)\w*"
_TRIPLE = r'(?:"""(?:[^"\\]|\\[\s\S]|"(?!""))*(?:"""|\Z)|' + r"'''(?:[^'\\]|\\[\s\S]|'(?!''))*(?:'''|\Z))"
_STRINGS = {
    "c": rf"(?:L|u8?|U)?(?:{_DOUBLE}|{_SINGLE})",
    "cpp": rf'(?:L|u8?|U)?R"(?P<raw>[^()\\\s]{{0,16}})\((?:[^)]|\)(?!(?P=raw)"))*(?:\)(?P=raw)"|\Z)|(?:L|u8?|U)?(?:{_DOUBLE}|{_SINGLE})',
    "go": rf"`[^`]*(?:`|\Z)|{_DOUBLE}|{_SINGLE}",
    "java": r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*(?:"""|\Z)|' + f"{_DOUBLE}|{_SINGLE}",
    "python": rf"(?i:[rbuf]|br|rb|fr|rf)?(?:{_TRIPLE}|{_DOUBLE}|{_SINGLE})",
    "rust": rf"(?:br|r)(?P<raw>#*)\"(?:[^\"]|\"(?!(?P=raw)))*(?:\"(?P=raw)|\Z)|b?{_DOUBLE.replace(chr(92) + 'n', '')}|b?'(?:\\(?:u\{{[^}}\n]*\}}|[\s\S])|[^'\\\n])'",
    "typescript": f"{_DOUBLE}|{_SINGLE}",
}  # fmt: skip
_NAMES = {"rust": r"r#\w+|'?[^\W\d]\w*", "typescript": r"[#@]?[^\W\d][\w$]*|\$[\w$]*", "java": r"[^\W\d][\w$]*|\$[\w$]*"}
_REGEX = re.compile(r"/(?![*/])(?:[^\\/\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")
_FIELD = re.compile(r"\{\{|\}\}|\{((?:[^{}]|\{[^{}]*\})*)\}")
_QUOTES = re.compile(r"(?i)^(?:f|fr|rf)(\"\"\"|'''|\"|')")

# Marks by which a language is guessed; the one with most different marks is meant.
_MARKS = {
    "python": (r"^[^\S\n]*(async )?def \w+\(", r"^[^\S\n]*class \w+.*:[^\S\n]*$", r"^[^\S\n]*(from [\w.]+ )?import [\w., ]+$", r"\bself\b", r"\belif\b|\bNone\b", r"^[^\S\n]*(for .+ in .+|(el)?if .+|while .+|else|try|except.*|with .+):[^\S\n]*(#.*)?$", r"^[^\S\n]*(return|raise)\b[^;{]*$"),
    "rust": (r"\bfn \w+", r"\blet (mut )?\w+", r"\bimpl\b", r"\b\w+!\(", r"&(mut|str|self)\b", r"\buse [\w:]+::", r"->[^\S\n]*\w+[^\S\n]*\{"),
    "go": (r"^package \w+", r"^[^\S\n]*func (\([^)]*\) )?\w+\(", r":=", r"\bfmt\.\w+", r"^import \(", r"\bchan\b|\bdefer\b|\bgo func\b"),
    "java": (r"\bpublic (static |final )*(class|void|int|interface)\b", r"^import java\w*\.", r"\bSystem\.out\b", r"\bnew \w+(<.*>)?\(", r"@Override", r"\b(private|protected) "),
    "cpp": (r"#include <\w+>", r"\bstd::", r"\btemplate[^\S\n]*<", r"\w+::\w+", r"\b(cout|cin|endl)\b", r"\busing namespace\b", r"\bclass \w+.*\{"),
    "c": (r"#include [<\"][\w/]+\.h[>\"]", r"\b(int|void|char|double|float|long|size_t) \*?\w+\(", r"\b(printf|malloc|sizeof)\b", r"\bstruct \w+", r"\w+->\w+", r"^#define "),
    "typescript": (r":[^\S\n]*(string|number|boolean|void|any)\b", r"\b(const|let) \w+", r"=>", r"^[^\S\n]*export ", r"\binterface \w+[^\S\n]*\{", r"\bfunction\b", r"from ['\"]"),
}  # fmt: skip


class Token(NamedTuple):
    """One token; a string is one, white space none."""

    kind: str
    text: str


@dataclass
class Code:
    """A source text taken apart.

    Attributes:
        tokens: all but comments, in order; in Python a step in or out of indentation is a token too.
        comments: comments, and strings that are statements (documentation).
        lines: lines, blank ones at the end aside.

    """

    tokens: list[Token] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    lines: int = 0

    def of(self, kind: str) -> list[str]:
        """Texts of the tokens of a kind."""
        return [t.text for t in self.tokens if t.kind == kind]

    def skeleton(self, *, numbered: bool = False) -> list[str]:
        """The tokens without their names: every name the same mark, or (``numbered``) the place at which it first stood among the names."""
        seen: dict[str, int] = {}
        return [f"\0{seen.setdefault(t.text, len(seen)) if numbered else ''}" if t.kind == NAME else t.text for t in self.tokens]


def language(name: str | None) -> str | None:
    """Our name of a language ("cpp" for "C++"), None for one that is not read.

    Example:
        >>> language("C++"), language("en")
        ('cpp', None)

    """
    known = (name or "").strip().lower()
    known = _ALIASES.get(known, known)
    return known if known in _KEYWORDS else None


def guess(text: str) -> str | None:
    r"""Which of the seven languages a text most looks like, by its first 20,000 characters; None where fewer than two marks of one are there.

    Example:
        >>> guess("package main\n\nfunc main() {\n\tx := 1\n}")
        'go'

    """
    lines = [line[:200] for line in text[:20_000].split("\n")]
    head = "\n".join(lines)
    scores = {name: sum(1 for mark in marks if mark.search(head)) for name, marks in _marks().items()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= 2 else None


@cache
def _marks() -> dict[str, tuple[re.Pattern[str], ...]]:
    return {name: tuple(re.compile(mark, re.MULTILINE) for mark in marks) for name, marks in _MARKS.items()}


class _Lexer(NamedTuple):
    pattern: re.Pattern[str]
    keywords: frozenset[str]


@cache
def _lexer(name: str) -> _Lexer:
    comment = "#[^\n]*" if name == "python" else f"//[^\n]*|{_BLOCK}"
    parts = {"blank": r"(?:[^\S\n]|\\\n)+", "line": r"\n", "comment": comment, "string": _STRINGS[name], "number": _NUMBER}
    parts |= {"name": _NAMES.get(name, r"[^\W\d]\w*"), "other": r"[\s\S]"}
    pattern = "|".join(f"(?P<{kind}>{part})" for kind, part in parts.items())
    return _Lexer(re.compile(pattern), frozenset(_KEYWORDS[name].split()))


def read(text: str, name: str) -> Code | None:
    """The tokens of a source text; None where the text is too long.

    Args:
        text: source code.
        name: one of c, cpp, go, java, python, rust, typescript.

    """
    if len(text) > MOST_CHARS:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    scan = _Scan(Code(lines=len(text.rstrip().split("\n")) if text.strip() else 0), name)
    scan.run(text)
    if name == "python":
        scan.indent(0)
    return scan.code


def _computed(inside: str) -> tuple[str, str]:
    """What a field of an f-string computes, and how it is shown ("{!r:>8}")."""
    depth, k = 0, 0
    while k < len(inside) and not (depth == 0 and (inside[k] == ":" or (inside[k] == "!" and inside[k : k + 2] != "!="))):
        depth += (inside[k] in "([{") - (inside[k] in ")]}")
        k += 1
    return inside[:k], "{" + inside[k:] + "}"


@dataclass
class _Scan:
    """One pass over a text. ``depth`` counts open brackets; ``templates`` are depths at which a TypeScript template goes on after a "}"."""

    code: Code
    name: str
    depth: int = 0
    levels: list[int] = field(default_factory=lambda: [0])
    templates: list[int] = field(default_factory=list)

    def run(self, text: str) -> None:
        pattern, keywords = _lexer(self.name)
        tokens, python, typescript = self.code.tokens, self.name == "python", self.name == "typescript"
        at, fresh, width = 0, True, 0  # fresh: nothing but blanks stands before this place in its line
        while at < len(text):
            match = pattern.match(text, at)
            assert match is not None  # the last part takes any character
            kind, piece = match.lastgroup, match.group()
            begin, at = at, match.end()
            if kind == "raw":  # an inner group closed last
                kind = "string"
            if kind == "line":
                fresh, width = True, 0
                continue
            if kind == "blank":
                width = at - begin if fresh and "\n" not in piece else width
                continue
            if kind == "comment":
                self.code.comments.append(piece)
                continue
            statement = fresh and self.depth == 0
            if python and statement:
                self.indent(width)
            fresh = False
            if kind == "string":
                if python and statement and re.match(r"[^\S\n]*(#[^\n]*)?(\n|\Z)", text[at : at + 500]):
                    self.code.comments.append(piece)
                else:
                    self._string(piece)
            elif kind == "name":
                tokens.append(Token(KEYWORD if piece in keywords else NAME, piece))
            elif kind == "number":
                tokens.append(Token(LITERAL, piece))
            elif typescript and piece == "/" and self._regex_may_begin() and (found := _REGEX.match(text, begin)):
                tokens.append(Token(LITERAL, found.group()))
                at = found.end()
            elif typescript and (piece == "`" or (piece == "}" and self.templates and self.templates[-1] == self.depth)):
                at = self._template(text, at, opens=piece == "`")
            else:
                self.depth = max(0, self.depth + (piece in "([{") - (piece in ")]}"))
                tokens.append(Token(OTHER, piece))

    def indent(self, width: int) -> None:
        """Steps from the indentation so far to this one."""
        while width < self.levels[-1]:
            self.levels.pop()
            self.code.tokens.append(Token(OTHER, DEDENT))
        if width > self.levels[-1]:
            self.levels.append(width)
            self.code.tokens.append(Token(OTHER, INDENT))

    def _string(self, piece: str) -> None:
        """A string; what an f-string computes is code."""
        quotes = _QUOTES.match(piece) if self.name == "python" else None
        if quotes is None or "{" not in piece:
            self.code.tokens.append(Token(LITERAL, piece))
            return
        said, inner = [], _Scan(self.code, self.name)
        inner.depth = 1
        end = 0
        for found in _FIELD.finditer(piece):
            said.append(piece[end : found.start()])
            end = found.end()
            if found[1] is None:
                said.append(found.group())
            else:
                computed, form = _computed(found[1])
                inner.run(computed)
                said.append(form)
        self.code.tokens.append(Token(LITERAL, "".join([*said, piece[end:]])))

    def _template(self, text: str, at: int, *, opens: bool) -> int:
        """The next piece of a template, which begins at ``at``; returns where it ends."""
        if not opens:
            self.templates.pop()
        found = _PIECE.match(text, at)
        assert found is not None
        self.code.tokens.append(Token(LITERAL, text[at - 1 : found.end()]))
        if found.group().endswith("${"):
            self.templates.append(self.depth)
        return found.end()

    def _regex_may_begin(self) -> bool:
        last = self.code.tokens[-1] if self.code.tokens else Token(OTHER, "")
        return last.kind == KEYWORD or (last.kind == OTHER and last.text not in (")", "]", "}"))


_PIECE = re.compile(r"(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{|\Z)")
