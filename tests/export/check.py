#!/usr/bin/env python3
"""Loads what `ballast export` wrote with the programs that it is for, and compares with what Ballast said.

Every folder of an export has an answers.json: questions, the token ids of their prompts, and the greedy answers of base +
adapter, computed in f32. Here the same questions go through the consumer's own tokenizer, chat template and arithmetic:

    python check.py transformers MERGED_FOLDER
    python check.py peft PEFT_FOLDER --base HF_FOLDER
    python check.py llama.cpp MERGED_FOLDER            # model-*.gguf in it
    python check.py llama.cpp LORA_FOLDER --base BASE.gguf

Printed are the prompts whose ids are equal, the answers whose ids are equal, and of the first that is not its first
differing token. Exit code 1 where a prompt differs, and with --exact where an answer does; answers of quantized files may.

transformers and peft:  pip install torch transformers peft
llama.cpp:              pip install llama-cpp-py-sync     (llama.cpp's own library, prebuilt)
"""

import argparse
import json
import sys
from pathlib import Path


def transformers(folder, base, questions):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # As it is: the type that the folder names. Computed in f32, as Ballast does.
    model = AutoModelForCausalLM.from_pretrained(base or folder, dtype=torch.float32)
    if base:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(base or folder)
    for question in questions["questions"]:
        messages = [{"role": "system", "content": questions["system"]}, {"role": "user", "content": question["question"]}]
        encoded = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        ids = encoded["input_ids"]
        settings = dict(do_sample=False, num_beams=1, repetition_penalty=1.0, max_new_tokens=questions["max_new_tokens"])
        with torch.no_grad():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), eos_token_id=questions["stops"],
                                 pad_token_id=questions["stops"][0], **settings)
        yield ids[0].tolist(), out[0, ids.shape[1]:].tolist(), lambda token: tokenizer.decode([token])


def llama_cpp(folder, base, questions):
    from llama_cpp_py_sync import Llama

    (file,) = list(Path(folder).glob("*.gguf"))
    model = Llama(str(base or file), n_ctx=4096, n_gpu_layers=0, seed=1, verbose=False)
    if base:
        ffi, lib = model._ffi, model._lib
        adapter = lib.llama_adapter_lora_init(model._model, str(file).encode())
        assert adapter != ffi.NULL, f"llama.cpp does not load {file}"
        scale = ffi.new("float[]", [1.0])
        assert lib.llama_set_adapters_lora(model._ctx, ffi.new("struct llama_adapter_lora *[]", [adapter]), 1, scale) == 0
    for question in questions["questions"]:
        # The rendered prompt as text: special tokens parsed, none added.
        ids = list(model.tokenize(question["prompt"], add_special=False, parse_special=True))
        model._clear_context_state()
        position = model._eval_tokens(ids, 0)
        answer = []
        ffi, lib = model._ffi, model._lib
        for _ in range(questions["max_new_tokens"]):
            logits = lib.llama_get_logits_ith(model._ctx, -1)
            values = ffi.unpack(logits, model.n_vocab)
            best = max(range(len(values)), key=values.__getitem__)
            if best in questions["stops"]:
                break
            answer.append(best)
            position = model._eval_tokens([best], position)
        yield ids, answer, model.token_to_piece


def first_difference(own, there):
    for at, (left, right) in enumerate(zip(own, there)):
        if left != right:
            return at, left, right
    at = min(len(own), len(there))
    return at, own[at] if at < len(own) else None, there[at] if at < len(there) else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("consumer", choices=["transformers", "peft", "llama.cpp"])
    parser.add_argument("folder")
    parser.add_argument("--base")
    parser.add_argument("--exact", action="store_true", help="answers have to be equal too")
    arguments = parser.parse_args()
    assert (arguments.consumer == "peft") <= bool(arguments.base), "peft needs --base"
    questions = json.loads((Path(arguments.folder) / "answers.json").read_text())
    consumer = llama_cpp if arguments.consumer == "llama.cpp" else transformers
    prompts = answers = 0
    said = {}
    for question, (ids, answer, text) in zip(questions["questions"], consumer(arguments.folder, arguments.base, questions)):
        while answer and answer[-1] in questions["stops"]:
            answer.pop()
        for kind, own, there in [("prompt", question["prompt_ids"], ids), ("answer", question["answer_ids"], answer)]:
            if own == there:
                prompts += kind == "prompt"
                answers += kind == "answer"
            elif kind not in said:
                at, left, right = first_difference(own, there)
                name = lambda token: "the end" if token is None else f"{token} {text(token)!r}"
                said[kind] = f"first {kind} that differs: {question['question'][:50]!r}, token {at + 1}: {name(left)} here, {name(right)} there"
    count = len(questions["questions"])
    print(f"{arguments.consumer} {arguments.folder}: {prompts} of {count} prompts and {answers} of {count} greedy answers are equal")
    for line in said.values():
        print(f"  {line}")
    sys.exit(prompts < count or (arguments.exact and answers < count))


if __name__ == "__main__":
    main()
