"""DataMan: fourteen quality ratings and a domain, from a small language model that was tuned to give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

if TYPE_CHECKING:
    from explorer.models.causal import Causal

CRITERIA = (
    "accuracy",
    "coherence",
    "language_consistency",
    "semantic_density",
    "knowledge_novelty",
    "topic_focus",
    "creativity",
    "professionalism",
    "style_consistency",
    "grammatical_diversity",
    "structural_standardization",
    "originality",
    "sensitivity",
    "overall",
)
DOMAINS = dict(
    zip(
        "ABCDEFGHIJKLMNO",
        (
            "medicine", "finance", "law", "education", "technology", "entertainment", "mathematics", "coding", "government", "culture",
            "transportation", "retail_e-commerce", "telecommunication", "agriculture", "other",
        ),
        strict=True,
    )
)  # fmt: skip
DIGITS = ("1", "2", "3", "4", "5")
SYSTEM = "You are a helpful assistant."

# The requests that the models were tuned on, from data_tools/dataman_annotate_hf.py of pengr/DataMan: a word changed is another request.
_EN = (*(c.replace("_", " ").title() for c in CRITERIA[:-1]), "Overall Score")
_ZH = (
    "准确性", "连贯性", "语种一致性", "信息含量", "知识新颖性", "专注度", "创意", "专业性", "风格一致性", "语法多样性", "结构规范性", "内容原创性", "敏感度", "总评",
)  # fmt: skip
_ALL_EN = "Please score the text on fourteen evaluation criteria and specify its domain:\nText: {text}\nDomain:_"
_ALL_ZH = "请给出文本的十四项评价指标分数和领域类别:\n文本: {text}\n领域:_"
REQUESTS = {
    ("en", "all_rating"): "\n".join([_ALL_EN, *(f"[{k}]{name}:_/5" for k, name in enumerate(_EN, 1))]),
    ("en", "score_only"): "Please give an overall score for the text:\nText: {text}\nOverall Score:_/5",
    ("zh", "all_rating"): "\n".join([_ALL_ZH, *(f"[{k}]{name}:_/5" for k, name in enumerate(_ZH, 1))]),
    ("zh", "score_only"): "请给出文本的整数总评分:\n文本: {text}\n总评:_/5",
}
MOST_TOKENS = {"en": 1894, "zh": 1896}  # of the text
MOST_CHARS = {"en": 20_000, "zh": 60_000}  # before it is tokenised
ANSWER_TOKENS = 29  # a letter and fourteen digits with line feeds between them
_OPENING = re.compile(r'^["“”]…+["“”]|^["“”]\.\.\.+["“”]')
_PICTURE = re.compile(r"!\[\]\([/]?[^)]+\)\n")

_UNCHECKED = (
    "Not checked against released weights. Trained on ratings by GPT-4: its tastes are inherited. The middle of a text longer than 1,894 "
    "tokens is not seen. A document can speak to its rater."
)


def shortened(text: str, model: Causal, language: str) -> str:
    """A text as DataMan prepares it: cleaned at its start, the middle of a long one left out for "..."."""
    text = _PICTURE.sub("", _OPENING.sub("", text))
    most, chars = MOST_TOKENS[language], MOST_CHARS[language]
    ids = model.encode(text[: chars // 2]) + model.encode(text[-chars // 2 :]) if len(text) > chars else model.encode(text)
    if len(ids) > most:
        return (model.decode(ids[: most // 2]) + "..." + model.decode(ids[-(most // 2) :])).strip()
    return model.decode(ids).strip()


def prompts(texts: Sequence[str], model: Causal, language: str, request: str) -> list[list[int]]:
    """Token ids of the request for each text, in the model's chat template."""
    head, found, tail = request.partition("{text}")
    if not found:
        raise SignalError("The request holds no {text}, where the document goes. Put it in, or leave the parameter out for DataMan's own.")
    before, after = model.chat(SYSTEM)
    # Special tokens count in the template alone, so that no document can close its own message.
    start, end = model.encode_template(before), model.encode_template(after)
    return [[*start, *model.encode(head + shortened(text, model, language) + tail), *end] for text in texts]


def parse(answer: str, mode: str) -> tuple[str, list[int]] | None:
    """Domain letter and fourteen ratings of an answer (in the mode score_only: "" and 0 but for the last); None where it has not the form."""
    lines = answer.strip().split("\n")
    letters = lines[:1] if mode == "all_rating" else []
    digits = lines[len(letters) :]
    if len(digits) != (len(CRITERIA) if letters else 1) or not all(x in DIGITS for x in digits) or not all(x in DOMAINS for x in letters):
        return None
    return "".join(letters), [0] * (len(CRITERIA) - len(digits)) + [int(x) for x in digits]


def expectation(logprobs: np.ndarray) -> np.ndarray:
    """Mean rating under the five digits' probabilities, these made to add up to 1: [..., 5] -> [...], from 1 to 5."""
    weights = np.exp(logprobs - logprobs.max(axis=-1, keepdims=True))
    return (weights * np.arange(1, 6)).sum(axis=-1) / weights.sum(axis=-1)


@family(
    version=1,
    source="Peng et al. 2025 (DataMan, ICLR), pengr/DataMan data_tools/dataman_annotate_hf.py; not checked against released weights",
    signals=[
        Signal("dataman_overall", "points", "Overall score: the most probable digit.", "higher_is_better", (1, 5), "int64",
               "Five values only, so that most documents tie: rank by dataman_overall_ev. " + _UNCHECKED),
        Signal("dataman_overall_ev", "points", "Overall score: mean of the digits 1 to 5 under their probabilities, which are made to add up to 1.",
               "higher_is_better", (1, 5), misleads="Ours, not DataMan's: it breaks the ties of dataman_overall. " + _UNCHECKED),
        *(
            Signal(f"dataman_{c}", "points", f"DataMan's rating of {c.replace('_', ' ')}.", "higher_is_better", (1, 5), "int64",
                   "Null in the mode score_only. " + _UNCHECKED)
            for c in CRITERIA[:-1]
        ),
        Signal("dataman_domain", "domain", "DataMan's domain of the text, one of fifteen.", dtype="string", misleads="Null in the mode score_only. " + _UNCHECKED),
        Signal("dataman_parse_ok", "0 or 1", "1 where the model's answer had the form that it was tuned to give; 0 makes the ratings null.",
               "descriptive", (0, 1), "int64", "Many zeros mean that the model is not a DataMan, or not of this mode and language."),
    ],
)  # fmt: skip
def dataman(
    batch: Batch,
    *,
    model: str = "RuPeng/DataMan-1.5B-EN",
    revision: str | None = None,
    mode: str = "all_rating",
    language: str = "en",
    request: str | None = None,
    dtype: str = "auto",
    pickled: bool = False,
) -> Columns:
    """Fourteen ratings from 1 to 5 and a domain, by a DataMan model (Qwen2-1.5B tuned on GPT-4's ratings).

    The model is asked as its authors' annotation script asks it, greedily, in its chat template. A text of more than 1,894 tokens
    (1,896 in Chinese) is its first and last half of them, joined by "..."; of one past 20,000 characters (60,000) only both ends are
    tokenised. The expectation over digits is ours. Special tokens that a document spells out are read as text, which the original does
    not ensure. Null for a blank text. Some 3.5 TFLOP a document of full length: a GPU is advised.

    Args:
        batch: documents.
        model: a folder of safetensors or a hub id; RuPeng/DataMan-1.5B-ZH with language="zh".
        revision: commit, branch or tag of a hub id.
        mode: "all_rating": a domain and fourteen ratings in 29 tokens, the mode that the authors annotate with; "score_only": the overall
            score alone, from one token, for models tuned to that.
        language: "en" or "zh": the request and the cut.
        request: another request, with {text} where the document goes; answered as the mode says.
        dtype: "auto" (bfloat16 on a GPU that has it, else float32), "float32", "bfloat16" or "float16".
        pickled: whether weights that are not safetensors may be loaded; loading them can run code.

    Raises:
        SignalError: an unknown mode or language.
        ModelError: the model is not here, or is none that answers prompts.

    """
    from explorer.models.causal import load

    if (language, mode) not in REQUESTS:
        raise SignalError(f"Mode {mode!r} with language {language!r} is unknown. Modes: all_rating, score_only. Languages: en, zh.")
    texts = batch.texts()
    n = len(texts)
    places = [i for i, t in enumerate(texts) if t and t.strip()]
    ratings = np.zeros((n, len(CRITERIA)), np.int64)
    overall_ev, domains = np.full(n, np.nan), np.full(n, None, object)
    parsed, asked = np.zeros(n, bool), np.zeros(n, bool)
    if places:
        rater = load(model, revision, dtype=dtype, pickled=pickled)
        wanted = prompts([texts[i] or "" for i in places], rater, language, request or REQUESTS[language, mode])
        asked[places] = True
        answers, logprobs = rater.complete(wanted, ANSWER_TOKENS if mode == "all_rating" else 1, DIGITS)
        for i, answer, steps in zip(places, answers, logprobs, strict=True):
            found = parse(rater.decode(answer), mode)
            if found is not None:
                parsed[i], domains[i], ratings[i] = True, DOMAINS.get(found[0]), found[1]
                last = max(k for k, token in enumerate(answer) if rater.decode([token]).strip())  # the overall score
                overall_ev[i] = expectation(steps[last])
    columns: dict[str, np.ndarray | pa.Array] = {
        f"dataman_{c}": pa.array(ratings[:, k], pa.int64(), mask=~parsed if mode == "all_rating" or c == "overall" else np.ones(n, bool))
        for k, c in enumerate(CRITERIA)
    }
    columns["dataman_overall_ev"] = np.where(parsed, overall_ev, np.nan)
    columns["dataman_domain"] = pa.array(list(domains), pa.string())
    columns["dataman_parse_ok"] = pa.array(parsed.astype(np.int64), pa.int64(), mask=~asked)
    return columns
