"""Makes battery.jsonl: wrong programs that the code suite has to tell from right ones.

    python3 tests/mutants/make.py            writes battery.jsonl
    python3 tests/mutants/make.py --all      prints every mutant instead, one JSON object per line

Of the mutants of each reference solution, PER_ITEM are drawn by the item's id, before anything is known of which ones the suite
finds out. Left out before the draw are equivalent mutants, which no input tells from the reference: those listed by hand in
equivalent.jsonl, each with the reason; changes in place of an argument that is never a list or dict; and a changed type of a
value that is never of such a type.
"""


import hashlib
import json
import pathlib
import random
import sys

from mutate import mutants

PER_ITEM = 4
HERE = pathlib.Path(__file__).parent
ITEMS = HERE.parent.parent / "evalsets/code/items.jsonl"
IN_PLACE = " is changed in place"


def candidates(item, equivalent):
    scope = {}
    exec(item.get("setup", ""), scope)
    exec(item["reference"], scope)
    function = scope[item["entry_point"]]
    calls = [eval(f"(lambda *args: args)({text})", {}) for text in item["inputs"]["edges"]]
    names = function.__code__.co_varnames[:function.__code__.co_argcount]
    can_change = {name for args in calls for name, value in zip(names, args) if isinstance(value, (list, dict))}
    typed = any(type(function(*args)) in (int, bool, list, tuple) for args in calls)
    for what, source in mutants(item["reference"]):
        if what.endswith(IN_PLACE) and what.split(": ")[1][:-len(IN_PLACE)] not in can_change:
            continue
        if "another type" in what and not typed:
            continue
        if (item["id"], what, source) not in equivalent:
            yield what, source


def main():
    rows = [json.loads(line) for line in (HERE / "equivalent.jsonl").read_text(encoding="utf-8").splitlines()]
    equivalent = {(row["item"], row["what"], row["program"]) for row in rows}
    lines = []
    for text in ITEMS.read_text(encoding="utf-8").splitlines():
        item = json.loads(text)
        found = list(candidates(item, equivalent))
        if "--all" not in sys.argv:
            found = random.Random(item["id"]).sample(found, min(PER_ITEM, len(found)))
        of = hashlib.sha256(item["reference"].encode()).hexdigest()[:16]
        lines += [{"item": item["id"], "of": of, "what": what, "program": source + "\n"} for what, source in found]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if "--all" in sys.argv:
        sys.stdout.write(text)
    else:
        (HERE / "battery.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
