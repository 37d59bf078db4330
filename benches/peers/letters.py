"""What multiple-choice answers of `ballast eval --out` say under other readings than the verdict's.

    python3 benches/peers/letters.py rows.jsonl...

By letter (the verdict), by letter after each letter's mean log-probability over all items is taken off (what is left of
a model that prefers one letter), by the options' texts in nats a byte, and how often each letter was chosen. Needs nothing
but Python.
"""

import json
import math
import sys
from collections import Counter, defaultdict


def best(values):
    return max(range(len(values)), key=lambda i: values[i])


def share(right):
    n, p = len(right), sum(right) / len(right)
    z = 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{100 * p:5.1f} % [{100 * (middle - half):.1f}, {100 * (middle + half):.1f}]"


for path in sys.argv[1:]:
    suites = defaultdict(list)
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        scored = row.get("likelihood") or {}
        if len(scored.get("letters") or []) < 2:
            continue
        gold = min(range(len(scored["texts"])), key=lambda i: abs(scored["texts"][i] - scored["gold"]))
        options = [line.split(". ", 1)[1] for line in row["prompt"].split("\n") if line[1:3] == ". "][-len(scored["texts"]) :]
        # An option of several lines is cut here; its length is then of its first line.
        lengths = [max(len(option.encode()), 1) for option in options] if len(options) == len(scored["texts"]) else None
        suites[row["suite"]].append((scored["letters"], scored["texts"], lengths, gold, row["verdict"] == "correct"))
    for suite, rows in suites.items():
        rows = [row for row in rows if len(row[0]) == len(rows[0][0])]
        means = [sum(row[0][i] for row in rows) / len(rows) for i in range(len(rows[0][0]))]
        by_text = [row for row in rows if row[2]]
        print(f"{path} {suite}: n={len(rows)}")
        print(f"  verdict by letter          {share([row[4] for row in rows])}")
        print(f"  letters less their means   {share([best([a - b for a, b in zip(row[0], means)]) == row[3] for row in rows])}")
        print(f"  texts, nats a byte         {share([best([a / b for a, b in zip(row[1], row[2])]) == row[3] for row in by_text])}")
        chosen = Counter(best(row[0]) for row in rows)
        golds = Counter(row[3] for row in rows)
        print("  chosen " + ", ".join(f"{chr(65 + i)} {chosen[i]}" for i in range(len(means))) + "; right " + ", ".join(f"{chr(65 + i)} {golds[i]}" for i in range(len(means))))
        print(f"  probability of all letters together {sum(sum(math.exp(x) for x in row[0]) for row in rows) / len(rows):.2f}")
