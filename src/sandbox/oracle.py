"""The process that knows: draws the inputs of a code task and asks the reference for the value of each.

It never meets a candidate. It prints two lines, the rows of arguments and the frames that answer them, or one line that
begins with an exclamation mark and says what is wrong with the task.
"""


class Draw:
    """Seeded draws that no version of Python changes: SplitMix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, seed):
        self.state = seed

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = self.state
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        return mixed ^ mixed >> 31

    def int(self, low, high):
        """From low to high, both included."""
        return low + self.bits() % (high - low + 1)

    def one_in(self, n):
        """True once in n draws."""
        return self.bits() % n == 0

    def pick(self, values):
        return values[self.bits() % len(values)]

    def list(self, low, high, make):
        """From low to high values of `make()`."""
        return [make() for _ in range(self.int(low, high))]

    def text(self, characters, low, high):
        """From low to high of the characters."""
        return "".join(self.list(low, high, lambda: self.pick(characters)))

    def shuffled(self, values):
        left = list(values)
        return [left.pop(self.bits() % len(left)) for _ in range(len(left))]

    def sample(self, values, count):
        """Distinct places of `values`, at most count of them."""
        return self.shuffled(values)[:count]

    def dict(self, keys, low, high, make):
        """From low to high of the keys, each with a value of `make()`."""
        return {key: make() for key in self.sample(keys, self.int(low, high))}

    def date(self, first, last):
        """YYYY-MM-DD in the years from first to last; the ends of months and of February come often."""
        year, month = self.int(first, last), 2 if self.one_in(5) else self.int(1, 12)
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        days = 28 + leap if month == 2 else 30 if month in (4, 6, 9, 11) else 31
        day = self.pick([1, days - 1, days]) if self.one_in(3) else self.int(1, days)
        return f"{year:04d}-{month:02d}-{day:02d}"


def main(task):
    to = os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)

    def say(text):
        data = text.encode() + b"\n"
        while data:
            data = data[os.write(to, data):]

    peer = Peer(0, to, None)
    name, setup, reference, draw, edges, seed, count = peer.parse(task, 0)[0]
    scope = {"__name__": "oracle"}
    peer.lookup = scope.__getitem__
    try:
        exec(compile(setup, "setup", "exec"), scope)
        exec(compile(reference, "reference", "exec"), scope)
        arguments = lambda *args: list(args)
        rows = [peer.encode(eval(f"arguments({text})", {**scope, "arguments": arguments})) for text in edges]
        rows += drawn(peer, draw, scope, Draw(seed), count, set(rows))
        frames = []
        for row in rows:
            frame = peer.answer_to([name, peer.parse(row, 0)[0], []])
            if not frame.startswith(('["return",', '["same",')):
                return say(f"!the reference gives {frame[:TEXT_LIMIT]} for {row[:TEXT_LIMIT]}")
            frames.append(frame)
    except Refused as error:
        return say(f"!an argument is no plain data: {error}")
    except Exception as error:
        return say("!" + summary(error).replace("\n", " "))
    say(f"[{','.join(rows)}]")
    say(f"[{','.join(frames)}]")


def drawn(peer, draw, scope, g, count, seen):
    """Encoded rows of arguments: different ones as long as there are any, and then some of them again."""
    scope = {**scope, "g": g}
    if draw.lstrip().startswith("def draw("):
        exec(compile(draw, "draw", "exec"), scope)
        make = lambda: scope["draw"](g)
    else:
        code = compile(draw, "draw", "eval")
        make = lambda: eval(code, scope)
    rows, again = [], []
    for _ in range(5 * count):
        args = make()
        if type(args) is not tuple:
            raise TypeError("the inputs drawn are no tuple of arguments")
        row = peer.encode(list(args))
        (again if row in seen else rows).append(row)
        seen.add(row)
        if len(rows) == count:
            break
    return rows + again[:count - len(rows)]
