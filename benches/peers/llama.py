"""Decoding and prefill of `ballast bench` in llama.cpp, on the CPU, through llama-cpp-python's low-level API.

    pip install llama-cpp-python numpy        builds llama.cpp for this processor
    ballast bench --model smollm2-135m-instruct --peer llama.cpp

Takes one argument, the job as JSON (or @FILE), and prints a JSON line a measurement, like bench.py beside it. The model's
GGUF file is timed as it is and, for weights of the same width, converted to f32 and f16 by llama.cpp itself. Rows are
sequences of one batch, each token chosen greedily from its logits; training and adapters are left to the other peer.
"""

import ctypes
import json
import os
import sys
import tempfile
import time

import llama_cpp as llama
import numpy

PROGRAM = "llama.cpp"
VERSIONS = f"llama-cpp-python {llama.__version__}"

# Silence: a callback that must outlive every call.
SILENT = llama.llama_log_callback(lambda *_: None)


class Model:
    def __init__(self, path, job):
        self.job = job
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {path}")
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))

    def close(self):
        llama.llama_model_free(self.model)

    def answer(self, sizes):
        """A function that answers all rows once, and one that frees what it uses."""
        rows, prompt, new = sizes["rows"], sizes["prompt"], sizes["new"]
        params = llama.llama_context_default_params()
        params.n_ctx = rows * (prompt + new)
        params.n_seq_max = rows
        params.n_batch = rows * prompt
        params.n_threads = params.n_threads_batch = self.job["threads"]
        context = llama.llama_init_from_model(self.model, params)
        if not context:
            raise RuntimeError("llama.cpp cannot make a context")
        ids = numpy.random.default_rng(self.job["seed"]).integers(0, self.vocabulary, (rows, prompt))
        batch = llama.llama_batch_init(rows * prompt, 0, 1)

        def fill(tokens, position):
            """tokens: [rows, count], every row from the same position; logits of each row's last."""
            count = tokens.shape[1]
            for row in range(rows):
                for i in range(count):
                    at = row * count + i
                    batch.token[at] = int(tokens[row, i])
                    batch.pos[at] = position + i
                    batch.n_seq_id[at] = 1
                    batch.seq_id[at][0] = row
                    batch.logits[at] = i == count - 1
            batch.n_tokens = rows * count

        def decode():
            if llama.llama_decode(context, batch) != 0:
                raise RuntimeError("llama_decode failed")
            # Rows that were asked for lie one after the other.
            logits = numpy.ctypeslib.as_array(llama.llama_get_logits(context), (rows, self.vocabulary))
            return logits.argmax(-1)

        def run():
            llama.llama_memory_clear(llama.llama_get_memory(context), True)
            fill(ids, 0)
            next_ids = decode()
            for i in range(1, new):
                fill(next_ids[:, None], prompt + i - 1)
                next_ids = decode()

        def free():
            llama.llama_batch_free(batch)
            llama.llama_free(context)

        return run, free


def peak_mib():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except OSError:
        return None


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        pass


def measure(job, model, part, how):
    reset_peak()
    seconds, error = [], None
    try:
        run, free = model.answer(job["work"][part])
        try:
            for repeat in range(job["warmup"] + job["repeats"]):
                started = time.perf_counter()
                run()
                if repeat >= job["warmup"]:
                    seconds.append(time.perf_counter() - started)
        finally:
            free()
    except RuntimeError as failure:
        error, seconds = str(failure), []
    line = {
        "program": PROGRAM,
        "versions": VERSIONS,
        "part": part,
        "how": how,
        "seconds": seconds,
        "peak_mib": peak_mib(),
        "error": error,
    }
    print(json.dumps(line), flush=True)


def convert(source, target, kind):
    params = llama.llama_model_quantize_default_params()
    params.ftype = kind
    params.allow_requantize = True
    params.pure = True
    if llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) != 0:
        raise RuntimeError(f"llama.cpp cannot convert {source}")


def main():
    text = sys.argv[1]
    if text.startswith("@"):
        with open(text[1:], encoding="utf-8") as file:
            text = file.read()
    job = json.loads(text)
    if job["device"] != "cpu":
        sys.exit("this peer is for the CPU: the wheel from PyPI is built without CUDA")
    llama.llama_log_set(SILENT, ctypes.c_void_p(0))
    llama.llama_backend_init()
    parts = [part for part in job["parts"] if part in ("single", "decode", "prefill")]
    with tempfile.TemporaryDirectory() as folder:
        files = [("file as it is", job["gguf"])]
        for how, kind in (("f32", llama.LLAMA_FTYPE_ALL_F32), ("f16", llama.LLAMA_FTYPE_MOSTLY_F16)):
            target = os.path.join(folder, f"{how}.gguf")
            convert(job["gguf"], target, kind)
            files.append((how, target))
        for how, path in files:
            model = Model(path, job)
            for part in parts:
                measure(job, model, part, how)
            model.close()


main()
