#!/usr/bin/env python3
"""Makes the golden chats of the tests: smollm2.json and qwen2.5.json beside this file.

They say which text, token ids and loss mask a conversation becomes, and they come from the Python libraries that
define it (jinja2, and `tokenizers` with its Oniguruma regex engine), not from Ballast. The output is committed; running
this again with the same models writes the same bytes.

How to run, in any virtual environment:

    pip install tokenizers==0.23.* jinja2 gguf
    pip install transformers        # optional: turns on one more check, no torch needed
    python make.py SmolLM2-135M-Instruct.Q4_1.gguf qwen2.5-coder-0.5b-instruct-q4_k_m.gguf

Only the headers of the two GGUF files are read: tokens, merges, token types, eos and chat template. The pipeline around
them (normalizer, pre-tokenizer, decoder) is written here as the published tokenizer.json of each model has it.

A case:
  messages    the conversation
  rendered    the whole of it through the chat template, without a generation prompt
  segments    the text cut where loss begins and ends (see `segments` below)
  ids, mask   each segment tokenized alone, joined; mask is 1 on labels
  prompt      the conversation without its last answer, with a generation prompt
  prompt_ids  the prompt tokenized as one text

`tokenizer` is a loadable tokenizer.json, pruned to what these texts touch: the byte symbols, the special tokens, and the
merges applied on the way with the tokens they make. Original ids and merge order are kept. Byte-pair encoding always
applies the first applicable merge in rank order, so leaving out merges that were never applied changes nothing.
"""

import json
import re
import sys
import unicodedata
from pathlib import Path

from gguf import GGUFReader
from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

HERE = Path(__file__).parent
SIZE_LIMIT = 150_000
CONTROL, USER_DEFINED, UNUSED = 3, 4, 5

QWEN_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
              r"|\s+(?!\S)|\s+")


def smollm2(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()


def qwen25(tokenizer):
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()


def chat(*turns, system=None):
    """User and assistant in turns, after a system message if one is given (an empty one is not the same as none)."""
    roles = ["user", "assistant"] * (len(turns) // 2)
    start = [] if system is None else [dict(role="system", content=system)]
    return start + [dict(role=role, content=text) for role, text in zip(roles, turns, strict=True)]


CONVERSATIONS = {
    "single_turn_en": chat(
        "What's the tallest mountain on Earth? I DON'T remember.",
        "It's Mount Everest, at 8,849 metres (29,032 ft) above sea level.",
        system="You answer in one sentence."),
    "single_turn_zh": chat(
        "你是谁？请用一句话回答。",
        "我是一个小小的语言模型，\u3000由“Ballast”团队在2024年微调。",
        system="你是一个乐于助人的助手。"),
    "own_system": chat(
        "Say hello.",
        "Ahoy!",
        system="You are Barnacle, a pirate.\nNever break character.\n\n"),
    "empty_system": chat("Say hello.", "Hello.", system=""),
    "default_system": chat("Who are you?", "I am a language model."),
    "multi_turn": chat(
        "Name a prime number larger than 10.",
        "11 is prime.",
        "And the next one?",
        "13, since 12 = 2 \u00d7 2 \u00d7 3."),
    "code": chat(
        "Complete the function body:\n\n```python\ndef fib(n: int) -> int:\n```",
        "    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b  # slide\n\n    return a\n\n\n"
        "if __name__ == \"__main__\":\n\tprint([fib(i) for i in range(10)])\n"),
    # The answer begins with white space that the whole text would merge with the line break before it.
    "whitespace_digits_emoji": chat(
        "  Sort:\t10,  2\t\t33 \r\n4\u00bd x\u00b2 \u0663\uff17 \U0001f680\U0001f469\u200d\U0001f4bb\u2764\ufe0f ok?   ",
        "\n\t2\u00a0\u2192 10 \u2192 33\t\U0001f600\U0001f600 1\u20e3 v1.2.345   \n \n  done  "),
    # Decomposed letters, Hangul jamo and a singleton; composed "\u00e9" beside them.
    "nfc": chat(
        "Is cafe\u0301 the same word as caf\u00e9? And A\u030angstro\u0308m, \u212b, \u1112\u1161\u11ab\u1100\u1173\u11af?",
        "e\u0301 and \u00e9 look alike: re\u0301sume\u0301, q\u0323\u0307."),
    # Special tokens in a message become their ids, as everywhere in these libraries.
    "special_token_text": chat(
        "What is <tool_call>, <filename> or <|endoftext|> for?",
        "In my vocabulary <|endoftext|> ends a document, <filename>a.py names one."),
}


class Model:
    """What a GGUF header says about text."""

    def __init__(self, path, pipeline):
        fields = GGUFReader(path).fields
        get = lambda key: fields[f"tokenizer.{key}"].contents()
        tokens, types = get("ggml.tokens"), get("ggml.token_type")
        merges = [tuple(merge.split(" ")) for merge in get("ggml.merges")]
        self.template = get("chat_template")
        self.eos = tokens[get("ggml.eos_token_id")]
        self.vocabulary = {token: i for i, token in enumerate(tokens) if types[i] != UNUSED}
        self.merges = {pair: rank for rank, pair in enumerate(merges)}
        self.added = {token: types[i] == CONTROL for i, token in enumerate(tokens) if types[i] in (CONTROL, USER_DEFINED)}
        self.pipeline = pipeline
        self.tokenizer = self.build(self.vocabulary, merges)

        def raise_exception(message):
            raise TemplateError(message)

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.globals["raise_exception"] = raise_exception
        self.compiled = environment.from_string(self.template)

    def build(self, vocabulary, merges):
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        self.pipeline(tokenizer)
        tokenizer.add_tokens([AddedToken(token, special=special, normalized=False) for token, special in self.added.items()])
        for token in self.added:
            assert tokenizer.token_to_id(token) == self.vocabulary[token], f"{token} changed its id"
        return tokenizer

    def render(self, messages, ask):
        return self.compiled.render(messages=messages, add_generation_prompt=ask, eos_token=self.eos)

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def segments(self, messages):
        """ms-swift's rule: every answer is a label together with the token that ends its turn. What the template writes
        after that token opens the next unlabelled segment, and is dropped after the last answer."""
        found, said = [], ""
        for k, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt, full = self.render(messages[:k], True), self.render(messages[:k + 1], False)
            assert full.startswith(prompt) and prompt.startswith(said), "the template rewrites earlier turns"
            answer = full[len(prompt):]
            answer = answer[:answer.rindex(self.eos) + len(self.eos)]
            found += [dict(text=prompt[len(said):], label=False), dict(text=answer, label=True)]
            said = prompt + answer
        return found

    def case(self, name, messages):
        assert messages[-1]["role"] == "assistant"
        segments = self.segments(messages)
        encoded = [self.encode(segment["text"]) for segment in segments]
        ids = sum(encoded, [])
        mask = [int(segment["label"]) for segment, part in zip(segments, encoded) for _ in part]
        prompt = self.render(messages[:-1], True)
        case = dict(name=name, messages=messages, rendered=self.render(messages, False), segments=segments, ids=ids, mask=mask,
                    prompt=prompt, prompt_ids=self.encode(prompt))

        said = "".join(segment["text"] for segment in segments)
        assert said.startswith(prompt) and case["rendered"] == said + "\n"
        # No answer but the last may begin with white space here, so a prompt has the same ids cut at its turns or not.
        assert case["prompt_ids"] == sum(encoded[:-1], [])
        normal = self.tokenizer.normalizer
        expected = normal.normalize_str(said) if normal else said
        assert self.tokenizer.decode(ids, skip_special_tokens=False) == expected, "some text has no token"
        return case

    def texts(self, cases):
        """Every text a test may tokenize."""
        for case in cases:
            yield from (segment["text"] for segment in case["segments"])
            yield from (case["prompt"], case["rendered"])

    def merge(self, piece, used):
        """Plain byte-pair encoding of one pre-token; adds every merge applied to `used`."""
        parts = list(piece)
        while True:
            ranked = [(self.merges[pair], i) for i, pair in enumerate(zip(parts, parts[1:])) if pair in self.merges]
            if not ranked:
                return parts
            rank, i = min(ranked)
            used.add(rank)
            parts[i:i + 2] = [parts[i] + parts[i + 1]]

    def trace(self, text, used):
        """`encode` without the library's BPE and added-token search, to see which merges it applies."""
        ids = []
        for part in re.split("(" + "|".join(map(re.escape, self.added)) + ")", text):
            if part in self.added:
                ids.append(self.vocabulary[part])
                continue
            if self.tokenizer.normalizer:
                part = self.tokenizer.normalizer.normalize_str(part)
            for piece, _ in self.tokenizer.pre_tokenizer.pre_tokenize_str(part):
                ids += [self.vocabulary[token] for token in self.merge(piece, used)]
        return ids

    def prune(self, cases):
        used = set()
        for text in self.texts(cases):
            assert self.trace(text, used) == self.encode(text), f"two encoders disagree on {text!r}"
        pairs = list(self.merges)
        merges = [pairs[rank] for rank in sorted(used)]
        bytes_ = [symbol for symbol in pre_tokenizers.ByteLevel.alphabet() if symbol in self.vocabulary]
        kept = {*bytes_, *self.added, *(left + right for left, right in merges)}
        vocabulary = {token: i for token, i in self.vocabulary.items() if token in kept}
        return json.loads(self.build(vocabulary, merges).to_str())

    def check(self, golden):
        """The golden file alone gives the ids in it."""
        tokenizer = Tokenizer.from_str(json.dumps(golden["tokenizer"]))
        encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
        for text in self.texts(golden["cases"]):
            assert encode(text) == self.encode(text), f"the pruned tokenizer differs on {text!r}"
        for case in golden["cases"]:
            assert sum((encode(segment["text"]) for segment in case["segments"]), []) == case["ids"]
            assert encode(case["prompt"]) == case["prompt_ids"]
            assert len(case["ids"]) == len(case["mask"])
        # What makes segments worth a test: cut and uncut texts must not always agree.
        assert any(self.encode(case["rendered"].removesuffix("\n")) != case["ids"] for case in golden["cases"])

    def check_transformers(self, cases):
        try:
            from transformers import PreTrainedTokenizerFast
        except ImportError:
            return "transformers not installed, skipped"
        fast = PreTrainedTokenizerFast(tokenizer_object=self.tokenizer, eos_token=self.eos, chat_template=self.template)
        for case in cases:
            whole, asked = (case["messages"], False, case["rendered"]), (case["messages"][:-1], True, case["prompt"])
            for messages, ask, text in (whole, asked):
                options = dict(add_generation_prompt=ask, return_dict=False)
                assert fast.apply_chat_template(messages, tokenize=False, **options) == text
                assert fast.apply_chat_template(messages, tokenize=True, **options) == self.encode(text)
        return "transformers agrees"


def dump(value, indent=0, depth=4):
    """JSON with one line an entry down to `depth`, and what lies deeper, or is a list of plain values, on one line."""
    pad = " " * indent
    deep = isinstance(value, (dict, list)) and value and depth > 0
    if isinstance(value, dict) and deep:
        body = (f"{pad} {dump(key)}: {dump(item, indent + 1, depth - 1)}" for key, item in value.items())
        return "{\n" + ",\n".join(body) + f"\n{pad}}}"
    if isinstance(value, list) and deep and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{pad} {dump(item, indent + 1, depth - 1)}" for item in value) + f"\n{pad}]"
    text = json.dumps(value, ensure_ascii=False)
    # Marks, invisible characters and odd spaces are escaped, so that a diff shows them and no editor changes them.
    return "".join(escape(char) for char in text)


def escape(char):
    odd = ord(char) > 127 and unicodedata.category(char)[0] in "MCZ" or "\u1100" <= char <= "\u11ff" or char == "\u212b"
    return json.dumps(char)[1:-1] if odd else char


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: make.py SMOLLM2.gguf QWEN2.5.gguf")
    for name, path, pipeline in [("smollm2", sys.argv[1], smollm2), ("qwen2.5", sys.argv[2], qwen25)]:
        model = Model(path, pipeline)
        cases = [model.case(case, messages) for case, messages in CONVERSATIONS.items()]
        golden = dict(template=model.template, eos_token=model.eos, tokenizer=model.prune(cases), cases=cases)
        text = dump(golden) + "\n"
        assert json.loads(text) == golden and len(text.encode()) < SIZE_LIMIT
        model.check(json.loads(text))
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")
        kept = golden["tokenizer"]["model"]
        print(f"{name}.json: {len(text.encode())} bytes, {len(cases)} cases, {len(kept['vocab'])} tokens, "
              f"{len(kept['merges'])} merges; {model.check_transformers(cases)}")


if __name__ == "__main__":
    main()
