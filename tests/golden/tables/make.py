"""Tables as pandas and pyarrow write them, for the tests of src/eval/mapping. Rows are made up.

    pip install pandas==3.1.1 pyarrow==26.0.1 && python make.py
"""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

# A struct of lists, as ARC's choices; zstd as newer files on the hub, and row groups of one row.
arc = pa.table(
    {
        "id": ["boat-1", "boat-2"],
        "question": ["Which of these floats?", "Which of these is a knot?"],
        "choices": [
            {"text": ["lead", "cork", "iron"], "label": ["A", "B", "C"]},
            {"text": ["oak", "elm", "bowline", "ash"], "label": ["1", "2", "3", "4"]},
        ],
        "answerKey": ["B", "3"],
    }
)
pq.write_table(arc, "arc.parquet", compression="zstd", row_group_size=1)

# A list of structs, as IFEval's kwargs become: each has every key, most of them null.
orders = pd.DataFrame(
    {
        "key": [1, 2],
        "prompt": ["Write about boats in small letters, without commas.", "Say boat twice."],
        "instruction_id_list": [["change_case:english_lowercase", "punctuation:no_comma"], ["keywords:frequency"]],
        "kwargs": [
            [{"keyword": None, "frequency": None, "relation": None}] * 2,
            [{"keyword": "boat", "frequency": 2.0, "relation": "at least"}],
        ],
    }
)
orders.to_parquet("orders.parquet")

# Numbers, truth values, nulls, categories, dates and lists of lists. An integer column with a gap is a float column in pandas.
kinds = pd.DataFrame(
    {
        "number": [1, 2],
        "gap": pd.Series([3, None]),
        "share": [0.5, 0.25],
        "flag": [True, False],
        "nothing": [None, None],
        "category": pd.Categorical(["a", "b"]),
        "text": ["x", None],
        "nested": [[["p", "q"], []], [["r"]]],
        "day": pd.to_datetime(["2026-01-02", "2026-01-03"]),
    }
)
kinds.to_parquet("kinds.parquet")

# A million rows of one long text in a few bytes: a file that would fill the memory.
text = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), ["x" * 100_000])
bomb = pa.table({"question": text})
pq.write_table(bomb, "bomb.parquet", compression="zstd")
