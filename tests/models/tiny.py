"""Tiny, randomly initialised models with tokenizers of their own, saved as a hub would: the right architecture, no download.

    from models.tiny import model, TEXTS

    folder = model(tmp_path / "rater", "bert", labels=1)                      # AutoModelForSequenceClassification, one output
    folder = model(tmp_path / "toxic", "albert", labels=["toxic", "insult"], problem="multi_label_classification")
    folder = model(tmp_path / "lm", "llama", head="causal")                   # AutoModelForCausalLM
    folder = model(tmp_path / "encoder", "modernbert", head="base")           # AutoModel: no head at all

``plain(folder, texts)`` is what transformers itself says of each text alone, to compare with.

The folder loads with transformers' Auto classes and with `explorer.models`. Kinds: bert (WordPiece), roberta and gpt2 and modernbert
(byte-level BPE), albert (Unigram), llama (BPE on "▁" with bytes as a fallback, no pre-tokenizer, no padding token). Weights are drawn
wide, so that different texts give clearly different outputs; a seed gives the same weights again. ``**config`` overrides sizes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "The river rises in spring, when the snow melts on the northern slopes.",
    "A prime number has exactly two divisors; 2, 3, 5 and 7 are prime.",
    "def mean(values):\n    return sum(values) / len(values)\n",
    "Buy cheap shoes online today! Buy cheap shoes online today!",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "no",
    "日本語の文章です。句読点もあります。",
    "Dr. Smith keeps a boat ready in May, doesn't he? Contact jane@example.org.",
    "naïve café, e\u0301 combining, 👩‍👩‍👧‍👦 and \u202eright to left\u202c",
    "a\tb  c\r\nd   e\n\n\nf",
    "One sentence. " * 40,
    "word " * 3,
]
WIDTH, LAYERS, HEADS, LONGEST, VOCABULARY = 32, 2, 2, 64, 400


def model(
    folder: Path,
    kind: str = "bert",
    *,
    head: str = "sequence",
    labels: int | Sequence[str] = 1,
    problem: str | None = None,
    longest: int = LONGEST,
    seed: int = 0,
    pickled: bool = False,
    tokenizer: bool = True,
    **config: Any,
) -> Path:
    """Write a model and its tokenizer into ``folder`` and return it.

    Args:
        folder: made if it is not there.
        kind: "bert", "roberta", "albert", "modernbert", "llama" or "gpt2".
        head: "sequence", "causal" or "base".
        labels: outputs of a sequence head, by number or by name.
        problem: the config's problem_type.
        longest: tokens that the model can take.
        seed: of the weights.
        pickled: save pytorch_model.bin instead of model.safetensors.
        tokenizer: whether to save one.
        **config: any other field of the architecture's configuration.
    """
    import torch
    import transformers

    encoder = _tokenizer(kind, longest)
    settings: dict[str, Any] = {
        "vocab_size": len(encoder),
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 2 * WIDTH,
        "max_position_embeddings": longest + (2 if kind == "roberta" else 0),
        "pad_token_id": encoder.pad_token_id,
        "bos_token_id": encoder.bos_token_id,
        "eos_token_id": encoder.eos_token_id,
        "initializer_range": 0.3,
    }
    if kind == "albert":
        settings |= {"embedding_size": WIDTH // 2}
    if kind == "modernbert":
        settings |= {"cls_token_id": encoder.cls_token_id, "sep_token_id": encoder.sep_token_id, "local_attention": 16}
        settings |= {"initializer_cutoff_factor": 10.0}
    if kind == "gpt2":
        settings = {"vocab_size": len(encoder), "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": longest}
        settings |= {"bos_token_id": encoder.bos_token_id, "eos_token_id": encoder.eos_token_id, "initializer_range": 0.3}
    if head == "sequence":
        names = [f"LABEL_{i}" for i in range(labels)] if isinstance(labels, int) else list(labels)
        settings |= {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}, "problem_type": problem}
    made = transformers.AutoConfig.for_model(kind, **settings | config)
    auto = {
        "sequence": transformers.AutoModelForSequenceClassification,
        "causal": transformers.AutoModelForCausalLM,
        "base": transformers.AutoModel,
    }[head]
    torch.manual_seed(seed)
    network = auto.from_config(made)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("bias"):
                weight.uniform_(-0.1, 0.1)  # a bias of zero would hide that one was left out
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder)
    if pickled:
        torch.save(network.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    if tokenizer:
        encoder.save_pretrained(folder)
    return folder


def plain(folder: Path, texts: Sequence[str], *, dtype: str = "float32", **options: Any) -> Any:
    """Logits of each text by transformers alone, float32 [n, k]: one at a time, no padding; ``options`` are the tokenizer's."""
    import numpy as np
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    with torch.no_grad():
        rows = [network(**tokenizer(text, return_tensors="pt", truncation=True, **options)).logits[0] for text in texts]
    return np.stack([row.float().numpy() for row in rows])


def rater(folder: Path, family: str) -> dict[str, Any]:
    """Parameters with which a rater's family (`fineweb_edu`, `prrc_reasoning`, …) runs on a tiny model of its architecture."""
    jigsaw = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
    kind, options, more = {
        "fineweb_edu": ("bert", {"labels": 1}, {"max_length": LONGEST}),
        "qurater": ("llama", {"labels": 4}, {"max_length": LONGEST}),
        "toxicity": ("bert", {"labels": jigsaw, "problem": "multi_label_classification"}, {"max_length": LONGEST}),
        "mates": ("bert", {"labels": 1, "problem": "regression"}, {"max_length": 2 * LONGEST, "checkpoint": "tiny"}),
        "classifier": ("roberta", {"labels": ["ham", "spam"]}, {"label": "spam"}),
    }.get(family, ("modernbert", {"labels": 6}, {"max_length": LONGEST}))
    return {"model": str(model(folder / family, kind, **options)), **more}


def _tokenizer(kind: str, longest: int) -> Any:
    """A transformers tokenizer trained on `TEXTS`, of the kind that the architecture is known for."""
    import transformers

    tokenizer, special = {"bert": _wordpiece, "albert": _unigram, "llama": _sentencepiece}.get(kind, _bytes)(kind)
    inputs = ["input_ids", "token_type_ids", "attention_mask"] if kind in ("bert", "albert") else ["input_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=longest, model_input_names=inputs, clean_up_tokenization_spaces=False, **special
    )


def _framed(tokenizer: Tokenizer, first: str, last: str) -> None:
    """[CLS] text [SEP], by whatever names."""
    pieces = [(name, tokenizer.token_to_id(name)) for name in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first}:0 $A:0 {last}:0", pair=None, special_tokens=pieces)


def _wordpiece(kind: str) -> tuple[Tokenizer, dict[str, str]]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False))
    _framed(tokenizer, "[CLS]", "[SEP]")
    return tokenizer, dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))


def _bytes(kind: str) -> tuple[Tokenizer, dict[str, str]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {
        "roberta": {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"},
        "modernbert": {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"},
        "gpt2": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
    }[kind]
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=list(dict.fromkeys(special.values())),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if "cls_token" in special:
        _framed(tokenizer, special["cls_token"], special["sep_token"])
    return tokenizer, special


def _unigram(kind: str) -> tuple[Tokenizer, dict[str, str]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=VOCABULARY, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    _framed(tokenizer, "[CLS]", "[SEP]")
    return tokenizer, dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))


def _sentencepiece(kind: str) -> tuple[Tokenizer, dict[str, str]]:
    """As Llama 2: no pre-tokenizer, spaces become "▁", what is unknown falls back to its bytes, <s> in front."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trained.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=VOCABULARY + len(special), special_tokens=special[:3], show_progress=False)
    )
    learned = json.loads(trained.to_str())["model"]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys([*special, *learned["vocab"]]))}
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s>:0 $A:0", pair=None, special_tokens=[("<s>", vocabulary["<s>"])])
    return tokenizer, {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
