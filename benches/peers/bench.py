"""The work of `ballast bench` in transformers and PEFT, as their own documentation says to do it.

    ballast bench --shape 7b --device cuda --peer          runs this file and prints both

Takes one argument, the job as JSON (or @FILE): shape, device, sizes, parts, repeats. Prints a JSON line a measurement:
program, part, how, seconds of each repeat, peak memory. Weights are random at the model's shape; no file is read.
A part that fails (out of memory) prints its error and the rest goes on. Needs torch, transformers and peft.

Settings: weights in the job's type, attention through torch's scaled_dot_product_attention, LoRA in f32 under autocast on
a GPU (what transformers' Trainer does with bf16), AdamW on the adapter alone, gradient clipping, non-reentrant
checkpointing. Decoding is `generate` with its default cache, greedy, without a stop token.
"""

import gc
import json
import sys
import time

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

TARGETS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj", "gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
PROGRAM = "transformers + peft"
VERSIONS = f"transformers {transformers.__version__}, peft {peft.__version__}, torch {torch.__version__}"


def tell(part, how, seconds, **more):
    line = {"program": PROGRAM, "versions": VERSIONS, "part": part, "how": how, "seconds": seconds, "peak_mib": None, **more}
    print(json.dumps(line), flush=True)


def words(failure):
    """As text: the exception itself holds the frames, and with them the tensors."""
    return f"{type(failure).__name__}: {failure}".splitlines()[0]


class Bench:
    def __init__(self, job):
        self.job, self.work = job, job["work"]
        self.device = torch.device(job["device"])
        self.dtype = getattr(torch, job["dtype"])
        self.cuda = self.device.type == "cuda"
        torch.manual_seed(job["seed"])
        if not self.cuda:
            torch.set_num_threads(job["threads"])
        self.base = None

    # Models

    def new_base(self):
        """Random weights, made on the device."""
        settings = dict(self.job["config"])
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        torch.set_default_dtype(self.dtype)
        try:
            with self.device:
                model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=self.dtype)
        finally:
            torch.set_default_dtype(torch.float32)
        model.generation_config.eos_token_id = None
        model.generation_config.pad_token_id = 0
        return model.to(self.device).eval()

    def lora(self):
        lora = self.job["lora"]
        return LoraConfig(
            r=lora["rank"],
            lora_alpha=lora["alpha"],
            lora_dropout=lora["dropout"],
            target_modules=[TARGETS[target] for target in lora["targets"]],
            task_type="CAUSAL_LM",
        )

    def ids(self, *shape):
        return torch.randint(0, self.job["config"]["vocab_size"], shape, device=self.device)

    # Timing

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def reset_memory(self):
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        else:
            try:
                with open("/proc/self/clear_refs", "w") as refs:
                    refs.write("5")
            except OSError:
                pass

    def memory(self):
        """MiB: (of the process on a CPU, else reserved by the allocator; allocated to tensors)."""
        if self.cuda:
            return torch.cuda.max_memory_reserved() / 2**20, torch.cuda.max_memory_allocated() / 2**20
        try:
            with open("/proc/self/status") as status:
                kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
            return kib / 1024, None
        except OSError:
            return None, None

    def measure(self, part, how, run):
        self.reset_memory()
        seconds, error = [], None
        try:
            for repeat in range(self.job["warmup"] + self.job["repeats"]):
                self.wait()
                started = time.perf_counter()
                run()
                self.wait()
                if repeat >= self.job["warmup"]:
                    seconds.append(time.perf_counter() - started)
        except Exception as failure:  # whatever a library raises, the other parts can still be measured
            error, seconds = words(failure), []
        peak, allocated = self.memory()
        tell(part, how, seconds, peak_mib=peak, allocated_mib=allocated, error=error)

    # Training

    def train(self, part):
        checkpointing = part == "checkpointed"
        model = get_peft_model(self.base, self.lora())
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.train()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
        lengths = [(row["tokens"], row["labels"]) for row in self.work["rows"]]
        rows = [self.ids(1, tokens) for tokens, _ in lengths]
        labels = [torch.where(torch.arange(n, device=self.device) >= n - kept, row, -100) for row, (n, kept) in zip(rows, lengths)]
        total = sum(kept for _, kept in lengths)

        def step(batches):
            for batch in batches:
                with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.cuda):
                    # The mean over all label tokens of the window, as Trainer does.
                    loss = model(**batch, use_cache=False, num_items_in_batch=total).loss
                loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()

        singles = [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": label} for row, label in zip(rows, labels)]
        longest = max(n for n, _ in lengths)
        pad = lambda x, value: torch.nn.functional.pad(x, (0, longest - x.shape[1]), value=value)
        padded = {
            "input_ids": torch.cat([pad(row, 0) for row in rows]),
            "attention_mask": torch.cat([pad(torch.ones_like(row), 0) for row in rows]),
            "labels": torch.cat([pad(label, -100) for label in labels]),
        }
        self.measure(part, f"batch 1 x accumulation {len(rows)}", lambda: step(singles))
        self.measure(part, "one padded batch", lambda: step([padded]))
        if checkpointing:
            model.gradient_checkpointing_disable()
        self.base = model.unload().eval()

    # Answers

    @torch.inference_mode()
    def generate(self, model, ids, new, **more):
        answers = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new, min_new_tokens=new, **more
        )
        assert answers.shape == (ids.shape[0], ids.shape[1] + new), answers.shape

    def decode(self, part):
        work = self.work[part]
        ids = self.ids(work["rows"], work["prompt"])
        self.measure(part, "generate, one batch", lambda: self.generate(self.base, ids, work["new"]))

    def adapters(self, part):
        work = self.work[part]
        count = work["adapters"]
        names = [f"adapter{i}" for i in range(count)]
        model = get_peft_model(self.base, self.lora(), adapter_name=names[0])
        for name in names[1:]:
            model.add_adapter(name, self.lora())
        model.eval()
        ids = self.ids(work["rows"], work["prompt"])
        share = work["rows"] // count
        mixed = [name for name in names for _ in range(share)]
        self.measure(part, "generate, mixed batch by adapter_names", lambda: self.generate(model, ids, work["new"], adapter_names=mixed))

        def one_by_one():
            for i, name in enumerate(names):
                model.set_adapter(name)
                self.generate(model, ids[i * share : (i + 1) * share], work["new"])

        self.measure(part, f"generate, {count} batches of {share}", one_by_one)
        self.base = model.unload()

    @torch.inference_mode()
    def read(self, ids):
        self.base(input_ids=ids, use_cache=True, logits_to_keep=1)

    def prefill(self, part):
        work = self.work[part]
        ids = self.ids(work["rows"], work["prompt"])
        self.measure(part, "one batch", lambda: self.read(ids))

    def run(self):
        self.base = self.new_base()
        parts = {
            "train": self.train,
            "checkpointed": self.train,
            "single": self.decode,
            "decode": self.decode,
            "adapters": self.adapters,
            "prefill": self.prefill,
        }
        for part in self.job["parts"]:
            try:
                parts[part](part)
            except Exception as failure:
                tell(part, "preparation", [], error=words(failure))
                self.base = None
                gc.collect()
                self.base = self.new_base()


def main():
    text = sys.argv[1]
    if text.startswith("@"):
        with open(text[1:], encoding="utf-8") as file:
            text = file.read()
    Bench(json.loads(text)).run()


main()
