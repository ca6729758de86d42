"""What generators leave in a rewrite that is no rewrite: refusals, preambles, reasoning, prompts, cuts, loops, copies."""

from __future__ import annotations

import numpy as np
import polars as pl

from explorer.primitives.batch import Batch
from explorer.primitives.plain_words import PlainWords, plain_words
from explorer.registry import Columns, Signal, check
from explorer.rewrites.copying import repeated

HEAD, TAIL = 240, 400  # characters of the beginning and of the end that are looked at
LOOP = 0.3  # of the words in stretches of ten that stood before; Gopher drops a document at 0.10, and an original may repeat itself too
CUT_FROM = 12  # words: shorter rewrites may be titles

# A phrase counts only where the original does not have one of its kind in the same place. Patterns are Rust's, capitals aside; a text is
# searched only where it has one of the words, which costs a tenth.
WORDS = {
    "refusal": ("sorry", "apologi", "can't", "can’t", "cannot", "unable", "not able", "won't", "won’t", "decline", "refuse", "language model", "an ai", "ai assistant", "comfortable", "policy", "policies", "guidelines"),
    "preamble": ("writ", "word", "phras", "simplif", "summar", "improved", "revised", "refined", "edited", "version", "text", "passage", "document", "answer", "output", "response", "sure", "certainly", "of course", "absolutely", "ok", "alright", "great"),
    "postscript": ("let me know", "feel free", "i hope", "would you like", "do you want", "anything else", "happy to", "note", "changes", "explanation", "i tried", "i have", "i made", "i kept", "i changed", "i rewrote", "i rephrased", "i simplified", "i removed", "i replaced", ", i"),
    "delimiter": ("think", "reasoning", "thought", "scratchpad"),
    "reasoning": ("okay", "ok", "alright", "hmm", "so", "first", "let me", "the user", "the prompt", "the task", "the instruction", "i need to", "i should", "i must", "we need to"),
    "echo": ("inst]", "<|", "<<", "###", "rewrite the", "rephrase the", "paraphrase the", "simplify the", "summarise the", "summarize the", "reword the", "improve the", "for the following", "original text", "original passage", "original document", "original paragraph", "input text", "input passage", "source text", "<improved", "text>", "<rewr", "</rewr", "<output", "</output", "<document", "</document", "<original", "</original"),
}  # fmt: skip
REFUSAL = (
    r"^\W*(i['’]m (really |very )?sorry|i apologi[sz]e|sorry)\b[^.\n]{0,40}\b(can|could|unable|not able|won)",
    r"^\W*(unfortunately,? )?(i|we) (can(no|['’])?t|cannot|am not able|['’]m not able|am unable|['’]m unable|won['’]t|will not|must decline|must refuse|refuse) (to |be able |help |assist |fulfil |provide |rewrite |rephrase |complete |comply|process|generate|with)",
    r"\bas an? (ai|artificial intelligence|large language|language)( language)? (model|assistant)\b",
    r"^\W*(i['’]m|i am) (an ai|just an ai|only an ai|not comfortable|unable)\b",
    r"\b(violates?|against) (my|our|the) (content|usage|safety|ethical) (policy|policies|guidelines)\b",
)
PREAMBLE = (
    r"^\W*(sure|certainly|of course|absolutely|okay|ok|alright|great)\b[!,.:]?\s+(here|below|i['’](ll|ve)|i (can|have|will)|let me)\b",
    r"^\W*(here['’]s|here is|here are|below is|below are|the following is|this is|i['’]ve|i have)\b[^.\n]{0,80}\b(re-?writ|re-?word|re-?phras|paraphras|simplif|summar|improved|revised|refined|edited|version|text|passage|paragraph|document|answer)\w*[^.\n]{0,60}[:.\n]",
    r"^\W*(re-?written|re-?worded|re-?phrased|paraphrased|simplified|improved|revised|refined|edited)\b[^.\n]{0,40}(version|text|passage|paragraph|document|article|content)?\W*:",
    r"^\W*(paraphrase|rewrite|rephrase|output|response|answer|summary|revised text)\s*\**\s*:\s",
)
POSTSCRIPT = (
    r"(^|[.!?:\n]\W*)(please )?(let me know|feel free to)\b[^\n]{0,120}\W*$",
    r"\bi hope (this|that|it|you)\b[^\n]{0,80}\W*$",
    r"\b(would you like|do you want|is there anything else|happy to help)\b[^\n]{0,120}\W*$",
    r"(?m)^\W*(note|changes( made)?|explanation|key changes)\s*\**:[^\n]{0,300}\b(re-?writ|re-?phras|paraphras|simplif|original|version|changed|added|removed|kept|tried)\w*",
    r"\b(i (have )?(tried|made|kept|changed|rewrote|rephrased|simplified|removed|replaced)|in this (version|rewrite|rendition),? i)\b[^\n]{0,200}\W*$",
)
REASONING = (
    r"</?think(ing)?>|<\|?(thinking|reasoning|begin_of_thought|end_of_thought)[^>]{0,20}\|?>|<thinking (starts|ends)>|</?scratchpad>|◁/?think▷",
    r"^\W*(okay|ok|alright|hmm|so|first|let me see)\b,?[^.\n]{0,40}\b(the user|i need to|i should|i have to|let['’]s|let me|we need to|we have to)\b",
    r"\b(the user|the prompt|the task|the instructions?) (wants?|asks?|is asking|says?|requires?|requested) (me |us )?(to |for )",
    r"\b(i need to|i should|i must|we need to|let me) (rewrite|rephrase|paraphrase|simplify|summari[sz]e|make sure|keep|preserve|check|start|think)\b[^.\n]{0,80}\b(text|passage|paragraph|document|sentence|original|meaning|user|article)\b",
)
ECHO = (
    r"\[/?inst\]|<\|im_(start|end)\|>|<\|(system|user|assistant|endoftext|eot_id|start_header_id|end_header_id)\|>|<</?sys>>|###\s*(instruction|response|input|system|assistant|user)\b",
    r"\b(rewrite|rephrase|paraphrase|simplify|summari[sz]e|reword|improve) the (following|above|given|text|passage|document|paragraph)\b",
    r"\bfor the following (paragraph|text|passage|document)\b[^.\n]{0,80}\b(paraphrase|rewrite|rephrase|give me|convert)\b",
    r"(?m)^\W*(original|input|source) (text|passage|document|paragraph)\s*\**:",
    r"<improved response (starts|ends)>|</?(rewritten|rewrite|output|text|document|original)_?(text)?>",
)
_ENDS = r"[.!?…。！？।۔؟:;)\]}>»”\"'’*`|–—=~_\-/]\W*$"
_LINES = r"(^|\n)\s*(#{1,6}\s|[-*+•–]\s|\d{1,3}[.)]\s|\||https?://)[^\n]*$"


def _flag(name: str, about: str, misleads: str = "") -> Signal:
    return Signal(name, "0 or 1", about, "lower_is_better", (0.0, 1.0), misleads=misleads)


ENGLISH = "Phrases are English: a refusal or preamble in another language is not seen."


@check(
    version=1,
    source="ours; phrases of instruction-tuned models, delimiters of chat templates and of ReWire's prompt (Nguyen et al. 2025)",
    signals=[
        _flag("flag_empty", "1 where the rewrite has no word and the original has."),
        _flag("flag_copy", "1 where rewrite and original have the same words in the same order: nothing was rewritten.", "Capitals, signs and white space may differ."),
        _flag("flag_refusal", f"1 where the first {HEAD} characters refuse the task, and those of the original do not.", ENGLISH),
        _flag("flag_preamble", "1 where the rewrite begins by announcing itself (“Here is the rewritten text:”), and the original does not.", ENGLISH),
        _flag("flag_postscript", "1 where the rewrite ends with words to the user or about its own changes, and the original does not.", ENGLISH),
        _flag("flag_reasoning", "1 where reasoning was left in: delimiters anywhere, or a beginning that talks about the task.", ENGLISH),
        _flag("flag_prompt_echo", "1 where the rewrite repeats a prompt or a chat template's delimiters that the original does not have.", ENGLISH),
        _flag("flag_truncated", f"1 where a rewrite of {CUT_FROM} words or more ends without a sentence's end, a heading or a list item, and the original does not.", "Verse, titles and addresses end so by right."),
        _flag("flag_looping", f"1 where more than {LOOP:g} of the rewrite's words lie in stretches of ten words that it has had before, and the original has less than half of that share.", "Shorter phrases that repeat are not seen."),
        Signal("flags", "flags", "How many of these flags are up.", "lower_is_better", (0.0, 9.0), "int64"),
    ],
)  # fmt: skip
def flags(original: Batch, rewrite: Batch) -> Columns:
    """Signs that a rewrite is not a rewrite, each 0 or 1."""
    before, after = pl.Series(original.texts(), dtype=pl.String), pl.Series(rewrite.texts(), dtype=pl.String)
    a, b = plain_words(original), plain_words(rewrite)
    n_before, n_after = np.diff(a.offsets), np.diff(b.offsets)
    heads, tails = (before.str.head(HEAD), after.str.head(HEAD)), (before.str.tail(TAIL), after.str.tail(TAIL))
    found = {
        "flag_empty": (n_after == 0) & (n_before > 0),
        "flag_copy": (n_before > 0) & _same(a, b),
        "flag_refusal": _new(*heads, "refusal", REFUSAL),
        "flag_preamble": _new(*heads, "preamble", PREAMBLE),
        "flag_postscript": _new(*tails, "postscript", POSTSCRIPT),
        "flag_reasoning": _new(before, after, "delimiter", REASONING[:1]) | _new(*heads, "reasoning", REASONING[1:]),
        "flag_prompt_echo": _new(before, after, "echo", ECHO),
        "flag_truncated": (n_after >= CUT_FROM) & _cut(tails[1]) & ~_cut(tails[0]),
        "flag_looping": _loops(original, rewrite),
    }
    columns: dict[str, np.ndarray] = {name: up.astype(np.float32) for name, up in found.items()}
    return {**columns, "flags": sum((up.astype(np.int64) for up in found.values()), np.zeros(len(rewrite), np.int64))}


def _any(texts: pl.Series, words: str, patterns: tuple[str, ...]) -> np.ndarray:
    """Where a text has one of the phrases, bool [n]."""
    up = texts.str.contains_any(list(WORDS[words]), ascii_case_insensitive=True).fill_null(False)
    found = up.to_numpy().copy()
    found[found] = texts.filter(up).str.contains("|".join(f"(?i:{p})" for p in patterns)).to_numpy()
    return found


def _new(before: pl.Series, after: pl.Series, words: str, patterns: tuple[str, ...]) -> np.ndarray:
    """Where the rewrite has one of the phrases and the original has none."""
    up = _any(after, words, patterns)
    if up.any():
        up[up] = ~_any(before.filter(pl.Series(up)), words, patterns)
    return up


def _cut(tails: pl.Series) -> np.ndarray:
    """Whether a text ends in the middle of something."""
    ended = tails.str.contains(_ENDS).fill_null(True) | tails.str.contains(_LINES).fill_null(True)
    return (~ended & (tails.str.strip_chars().str.len_bytes() > 0)).fill_null(False).to_numpy()


def _same(a: PlainWords, b: PlainWords) -> np.ndarray:
    """Whether two documents have the same words in the same order."""
    same = np.diff(a.offsets) == np.diff(b.offsets)
    for d in np.flatnonzero(same).tolist():  # few texts have the very same number of words as their rewrite
        same[d] = np.array_equal(a.hash[a.offsets[d] : a.offsets[d + 1]], b.hash[b.offsets[d] : b.offsets[d + 1]])
    return same


def _loops(original: Batch, rewrite: Batch) -> np.ndarray:
    again = repeated(rewrite)
    return (again > LOOP) & (repeated(original) < again / 2)
