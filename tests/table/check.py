"""Reads a table of item rows with Python's polars: the columns, their types and the shares that Ballast prints.

    ballast table IMPORT... --out rows.parquet; ballast table IMPORT... --by variant,suite --out groups.csv
    python3 tests/table/check.py rows.parquet groups.csv
"""

import sys

import polars

rows, groups = polars.read_parquet(sys.argv[1]), polars.read_csv(sys.argv[2])
text, whole, real, flag = polars.String, polars.Int64, polars.Float64, polars.Boolean
expected = {
    "model": text, "model_digest": text, "run": text, "variant": text, "seed": whole, "adapter_digest": text, "lambda": real,
    "suite": text, "role": text, "item": text, "item_hash": text, "cluster": text, "language": text, "subject": text, "verdict": text,
    "correct": flag, "strict": flag, "lenient": flag, "flags": text, "extracted": text, "detail": text, "prompt": text,
    "answer": text, "prompt_tokens": whole, "answer_tokens": whole, "log_likelihood": real, "likelihood_correct": flag,
    "thinking_tokens": whole, "thinking_closed": flag, "clean": flag,
}
found = dict(zip(rows.columns, rows.dtypes))
assert list(found.items())[: len(expected)] == list(expected.items()), found
assert rows.height > 0 and (rows["correct"] == (rows["verdict"] == "correct")).all()

shares = rows.group_by("variant", "suite").agg(polars.col("correct").mean().alias("share"), polars.len().alias("n"))
joined = groups.join(shares, on=["variant", "suite"], how="full")
assert joined.height == groups.height == shares.height, joined
assert (joined["accuracy"] - joined["share"]).abs().max() < 1e-12 and (joined["answers"] == joined["n"]).all(), joined
print(f"{rows.height} rows and {groups.height} groups read back with polars {polars.__version__}")
