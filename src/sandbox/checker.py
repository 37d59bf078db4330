"""The process that judges: runs the tests with the entry point bound to a call into the candidate's process.

It never sees the candidate's code. It writes one JSON line a step to its standard error, which only the parent reads,
and the parent takes a task for passed only when every line it expects is there.
"""


def main():
    answers, calls = private_pipes()
    report_to = os.dup(2)
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)

    peer = Peer(answers, calls, None)

    def report(kind, text=""):
        # Half of a surrogate pair is a legal character of a Python string and of nothing else.
        text = text[:TEXT_LIMIT].encode("utf-8", "replace").decode()
        os.write(report_to, peer.encode([kind, text]).encode() + b"\n")

    with open("task.json", encoding="utf-8") as file:
        name, setup, tests, cases = peer.parse(file.read(), 0)[0]
    sources = {"setup": setup, **{f"test {index + 1}": test for index, test in enumerate(tests)}}

    def entry_point(*args, **kwargs):
        return peer.call(name, args, kwargs)

    entry_point.__name__ = entry_point.__qualname__ = name
    scope = {"__name__": "tests"}
    try:
        codes = [compile(source, file_name, "exec") for file_name, source in sources.items()]
        exec(codes[0], scope)
        scope[name] = entry_point
    except Exception as error:
        return report("broken", place(error, sources) + summary(error))

    report("started")
    try:
        for expected in ("started", "ready"):
            kind, *rest = peer.receive()
            if kind != expected:
                text = rest[0] if kind in ("syntax", "memory", "raised") else peer.fail("forged", "skipped a step")
                return report(kind, str(text))
            report(f"candidate {expected}")
    except (Fault, TypeError, ValueError, LookupError):
        return report(*(peer.fault or ("forged", "sent something that is not an answer")))

    held = True
    for code in codes[1:]:
        outcome = judge(peer, code, scope, sources)
        held &= outcome[0] == "passed"
        report(*outcome)
        if peer.closed:
            return
    if cases and held:
        report(*compare(peer, name, *cases))
    report("done")


def judge(peer, code, scope, sources):
    """Runs one test: what came of it, and one line about it."""
    peer.fault = peer.raised = None
    peer.answer = "null"
    try:
        exec(code, scope)
        kind, text = "passed", ""
    except Fault as fault:
        kind, text = fault.kind, fault.text
    except BaseException as error:
        where = place(error, sources)
        if peer.raised and error is peer.raised[0]:
            kind, text = "raised", where + peer.raised[1]
        elif isinstance(error, AssertionError):
            kind, text = "failed", where + (summary(error)[16:] or got(peer))
        else:
            kind, text = "failed", where + summary(error)
        if isinstance(error, MemoryError):
            kind = "memory"
    if peer.fault:
        # Also when the test caught it: what it then concluded is worth nothing.
        kind, text = peer.fault
    if kind == "unsendable":
        kind, text = "broken", f"{code.co_filename} passes a value to the function: {text}"
    return kind, text


def compare(peer, name, rows, expected, loose):
    """Calls the function once for each row of arguments, all in one frame, and holds what it did against what the reference
    did: the value with its type, and what became of the arguments."""
    peer.fault = None
    try:
        peer.send(f'["calls",{peer.encode(name)},{rows}]')
        answers = peer.receive()
        rows, expected = (peer.parse(text, 0)[0] for text in (rows, expected))
        if type(answers) is not list or len(answers) != len(rows):
            peer.fail("forged", "sent something that is not an answer", final=True)
        for args, wanted, answer in zip(rows, expected, answers):
            call = f"{name}({', '.join(map(repr, args))})"[:TEXT_LIMIT // 2]
            kind, *rest = exactly(list, answer)
            if kind == "raise":
                return "memory" if "MemoryError" in rest[0] else "raised", f"{call}: {exactly(str, rest[2])}"
            if kind == "refused":
                return "refused", f"{call}: {exactly(str, rest[0])}"
            if kind not in ("return", "same"):
                return "forged", "sent something that is not an answer"
            got, changed = outcome(args, answer)
            want, may_change = outcome(args, wanted)
            if not alike(want, got, loose):
                return "failed", f"{call}: got {got!r}"
            if set(changed) != set(may_change):
                return "failed", f"{call}: changed an argument, or left one that should change"
            if not all(alike(may_change[index], changed[index], loose) for index in changed):
                return "failed", f"{call}: left an argument as {changed!r}"
    except Fault:
        return peer.fault
    except RecursionError:
        return "failed", "sent an answer that is nested too deep"
    except (TypeError, ValueError, LookupError, Refused):
        return "forged", "sent something that is not an answer"
    return "passed", ""


def outcome(args, frame):
    """What a call returned, and the new content of each argument that it changed, by position."""
    kind, value, changes = frame
    changed = {exactly(int, index): new for index, new in exactly(list, changes)}
    return (changed.get(value, args[exactly(int, value)]) if kind == "same" else value), changed


def alike(want, got, loose):
    """Whether two values are equal down to their types. Floats may differ in their last digits, since the order of a sum is
    free; a dict may be of any kind; and where `loose`, 1.0 and 1 are one number."""
    kind = type(want)
    if kind is float or (loose and kind is int):
        if type(got) is not kind and not (loose and type(got) in (int, float)):
            return False
        if want == got or (want != want and got != got):
            return True
        return float in (kind, type(got)) and abs(want - got) <= 1e-9 * max(abs(want), abs(got)) < float("inf")
    if isinstance(want, dict):
        if not isinstance(got, dict) or len(want) != len(got):
            return False
        theirs = {(type(key), key): value for key, value in got.items()}
        return all((type(key), key) in theirs and alike(value, theirs[type(key), key], loose) for key, value in want.items())
    if kind is not type(got):
        return False
    if kind in (list, tuple):
        return len(want) == len(got) and all(alike(*pair, loose) for pair in zip(want, got))
    if kind in (set, frozenset):
        return {(type(part), part) for part in want} == {(type(part), part) for part in got}
    return want == got


def place(error, sources):
    """The line of the test or setup that raised."""
    line = ""
    trace = error.__traceback__
    while trace:
        source = sources.get(trace.tb_frame.f_code.co_filename)
        if source is not None:
            line = source.splitlines()[trace.tb_lineno - 1].strip()
        trace = trace.tb_next
    return f"{line[:TEXT_LIMIT // 2]}: " if line else ""


def got(peer):
    """What the last call returned, unless it is long."""
    try:
        kind, value, _ = peer.parse(peer.answer, 0)[0] if len(peer.answer) < 2000 else (None, None, None)
        return f"got {value!r}" if kind == "return" else "not so"
    except Exception:
        return "not so"


try:
    main()
except Fault:
    pass
os._exit(0)
