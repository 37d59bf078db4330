"""The process that holds the candidate's code: runs it once, then answers calls of its functions until the pipe closes.

Everything here can be rewritten by the code it holds. That is fine: this process only ever says what a function
returned, and the verdict is found elsewhere.
"""


def main():
    calls, answers = private_pipes()
    # The candidate reads nothing, and what it prints counts as output instead of mixing into its answers.
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    holder = type(sys)("candidate")
    sys.modules["candidate"] = holder

    def lookup(name):
        try:
            return vars(holder)[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined") from None

    peer = Peer(calls, answers, lookup)
    peer.send('["started"]')
    # The frames of this script are not the candidate's.
    sys.setrecursionlimit(sys.getrecursionlimit() + 10)
    with open("solution.py", encoding="utf-8") as file:
        source = file.read()
    try:
        code = compile(source, "candidate", "exec")
    except MemoryError as error:
        return peer.send(peer.encode(["memory", summary(error)]))
    except Exception as error:
        return peer.send(peer.encode(["syntax", summary(error)]))
    try:
        exec(code, vars(holder))
    except MemoryError as error:
        return peer.send(peer.encode(["memory", summary(error)]))
    except BaseException as error:
        return peer.send(peer.encode(["raised", summary(error)]))
    peer.send('["ready"]')
    while True:
        kind, *call = peer.receive()
        (peer.serve_all if kind == "calls" else peer.serve)(call)


try:
    main()
except Fault:
    pass
os._exit(0)
