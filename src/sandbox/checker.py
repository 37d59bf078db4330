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
        name, setup, tests = peer.parse(file.read(), 0)[0]
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

    for code in codes[1:]:
        outcome = judge(peer, code, scope, sources)
        report(*outcome)
        if peer.closed:
            return
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
