"""Calls between the process that holds the candidate and the process that tests it.

Both ends run this text. Each exports functions by number and calls those of the other; a frame is four bytes of length
and JSON. What crosses is plain data with its exact type, rebuilt from text on the other side: nothing of an object's
class, methods or identity does, so a value cannot lie about itself. Functions and iterators cross as a number to call.

Whatever arrives is hostile. It can only ever become plain data, a function that calls back, or an exception of a
built-in type.
"""
import builtins
import os
import sys

FRAME_LIMIT = 16 << 20
TEXT_LIMIT = 300
PLAIN_TYPES = (type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, range, dict, set, frozenset)
PLAIN_BY_NAME = {kind.__name__: kind for kind in PLAIN_TYPES}
CONTAINERS = {"list", "tuple", "dict", "set", "bytearray", "deque", "Counter", "OrderedDict", "defaultdict"}
DICT_VIEWS = {
    "keys": (type({}.keys()), lambda rows: dict.fromkeys(rows).keys()),
    "values": (type({}.values()), lambda rows: dict(enumerate(rows)).values()),
    "items": (type({}.items()), lambda rows: dict(rows).items()),
}


class Refused(Exception):
    """A value that is not plain data."""


class Fault(BaseException):
    """The call got no answer that a test may judge. Not an Exception, so that no test takes it for one."""

    def __init__(self, kind, text):
        self.kind = kind
        self.text = text


def exactly(kind, value):
    if type(value) is not kind:
        raise Refused(type(value).__name__)
    return value


def library(path):
    """A name of the standard library, imported only when a value needs it."""
    module, name = path.split(".")
    return getattr(__import__(module), name)


# Types of the standard library that cross as themselves: how to take one apart, and how to rebuild it.
LIBRARY = {
    "collections.Counter": (dict, lambda kind, data: kind(exactly(dict, data))),
    "collections.OrderedDict": (dict, lambda kind, data: kind(exactly(dict, data))),
    "collections.defaultdict": (
        lambda value: [value.default_factory, dict(value)],
        lambda kind, data: kind(data[0], exactly(dict, data[1])),
    ),
    "collections.deque": (
        lambda value: [list(value), value.maxlen],
        lambda kind, data: kind(exactly(list, data[0]), data[1]),
    ),
    "datetime.date": (lambda value: value.isoformat(), lambda kind, data: kind.fromisoformat(data)),
    "datetime.time": (lambda value: value.isoformat(), lambda kind, data: kind.fromisoformat(data)),
    "datetime.datetime": (lambda value: value.isoformat(), lambda kind, data: kind.fromisoformat(data)),
    "datetime.timedelta": (
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda kind, data: kind(*exactly(list, data)),
    ),
    "decimal.Decimal": (str, lambda kind, data: kind(exactly(str, data))),
    "fractions.Fraction": (
        lambda value: [value.numerator, value.denominator],
        lambda kind, data: kind(*[exactly(int, part) for part in exactly(list, data)]),
    ),
}


class Peer:
    """One end of the wire. `lookup` turns the name in a call into a function; only the candidate's side has it."""

    strict, object_pairs_hook, parse_float, parse_int, parse_constant = True, None, float, int, float

    def __init__(self, read_from, write_to, lookup):
        self.read_from = read_from
        self.write_to = write_to
        self.lookup = lookup
        self.exported = []
        self.parse = scanner(self)
        self.fault = None  # the last call that no test may judge, kept also when a bare `except:` swallows it
        self.closed = False  # whether no further call can be answered
        self.raised = None  # the exception that the other side raised last, and its text
        self.answer = "null"  # the last frame, for messages

    # Calling the other side

    def call(self, target, args, kwargs, iterating=False):
        values = [*args, *kwargs.values()]
        try:
            frame = ["call", target, list(args), [list(pair) for pair in kwargs.items()]]
            frame = self.encode(frame)
        except Refused as error:
            self.fail("unsendable", f"{error} is not plain data")
        self.send(frame)
        while True:
            frame = self.receive()
            try:
                kind, *rest = exactly(list, frame)
                if kind == "return":
                    value, changes = rest
                    self.reflect(values, changes)
                    return value
                if kind == "same":
                    index, changes = rest
                    self.reflect(values, changes)
                    return values[exactly(int, index)]
                if kind == "raise":
                    error = self.rebuild(*rest, iterating)
                elif kind == "refused":
                    self.fail("refused", exactly(str, rest[0])[:TEXT_LIMIT])
                elif kind != "call":
                    raise Refused(kind)
            except (Refused, TypeError, ValueError, LookupError):
                self.fail("forged", "sent something that is not an answer", final=True)
            if kind == "raise":
                raise error
            self.serve(rest)

    def reflect(self, values, changes):
        """Gives arguments that the function changed in place their new content."""
        for index, new in exactly(list, changes):
            reflect(values[exactly(int, index)], new)

    def rebuild(self, names, args, text, iterating):
        """The exception of the nearest built-in type, as the test would have seen it."""
        names = [exactly(str, name) for name in exactly(list, names)]
        kinds = [getattr(builtins, name, None) for name in names]
        kind = next(kind for kind in [*kinds, Exception] if isinstance(kind, type) and issubclass(kind, BaseException))
        if not issubclass(kind, Exception):
            self.fail("raised", exactly(str, text)[:TEXT_LIMIT])
        if issubclass(kind, (StopIteration, StopAsyncIteration)) and not iterating:
            kind = RuntimeError  # it would end a test's loop as if all rounds of it had passed
        for make in (lambda: kind(*exactly(list, args)), lambda: kind.__new__(kind), lambda: Exception(text)):
            try:
                error = make()
                break
            except Exception:
                continue  # some need arguments that did not cross
        self.raised = (error, exactly(str, text)[:TEXT_LIMIT])
        return error

    def fail(self, kind, text, final=False):
        self.fault = (kind, text)
        self.closed = self.closed or final
        raise Fault(kind, text)

    # Answering the other side

    def serve(self, call):
        self.send(self.answer_to(call))

    def serve_all(self, call):
        """Many calls of one function in one frame: a frame for each would take longer than the calls."""
        target, rows = call
        self.send(f"[{','.join([self.answer_to([target, args, []]) for args in rows])}]")

    def answer_to(self, call):
        """The frame that answers a call."""
        try:
            target, args, pairs = call
            function = self.exported[target] if type(target) is int else self.lookup(target)
            kwargs = dict(exactly(list, pairs))
            values = [*exactly(list, args), *kwargs.values()]
            before = {i: self.encode(value) for i, value in enumerate(values) if type(value).__name__ in CONTAINERS}
            result = function(*args, **kwargs)
            after = {i: self.encode(values[i]) for i in before}
            changes = ",".join(f"[{i},{after[i]}]" for i in before if after[i] != before[i])
            same = [i for i in before if values[i] is result]
            kind, result = ("same", same[0]) if same else ("return", self.encode(result))
            return f'["{kind}",{result},[{changes}]]'
        except Fault as fault:
            if fault.kind != "unsendable":
                raise
            return self.encode(["refused", fault.text])
        except Refused as error:
            return self.encode(["refused", f"{error} is not plain data"])
        except BaseException as error:
            return self.describe(error)

    def describe(self, error):
        """The frame that raises `error` on the other side."""
        names = [kind.__name__ for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
        try:
            return self.encode(["raise", names, list(error.args), summary(error)])
        except Exception:
            return self.encode(["raise", names, [], summary(error)])

    # Frames

    def send(self, text):
        data = text.encode()
        data = memoryview(len(data).to_bytes(4, "big") + data)
        try:
            while data:
                data = data[os.write(self.write_to, data):]
        except OSError:
            self.fail("gone", "ended before it answered", final=True)

    def receive(self):
        length = int.from_bytes(self.read(4), "big")
        if length > FRAME_LIMIT:
            self.fail("output", f"sent an answer of more than {FRAME_LIMIT >> 20} MiB", final=True)
        try:
            self.answer = self.read(length).decode()
            return self.parse(self.answer, 0)[0]
        except MemoryError:
            self.fail("memory", "sent an answer too large to hold", final=True)
        except Exception:
            self.fail("forged", "sent something that is not an answer", final=True)

    def read(self, count):
        data = bytearray()
        while len(data) < count:
            part = os.read(self.read_from, min(count - len(data), 1 << 20))
            if not part:
                self.fail("gone", "ended before it answered", final=True)
            data += part
        return data

    # Values

    def encode(self, value):
        """JSON for `value`: what JSON knows exactly as it is, all else as an object with one key."""
        kind = type(value)
        if kind is str:
            return quote(value)
        if kind is int:
            return repr(value) if -1 << 63 < value < 1 << 63 else f'{{"int":"{value:x}"}}'
        if kind is float:
            return repr(value) if value - value == 0 else f'{{"float":"{value!r}"}}'
        if value is None or value is True or value is False:
            return "null" if value is None else "true" if value else "false"
        if kind is list:
            return f"[{','.join(map(self.encode, value))}]"
        if kind is dict:
            return f'{{"dict":[{",".join([f"[{self.encode(key)},{self.encode(value[key])}]" for key in value])}]}}'
        tag, parts = self.take_apart(kind, value)
        return f'{{"{tag}":{self.encode(parts)}}}'

    def take_apart(self, kind, value):
        """A tag, and simpler values to rebuild `value` from."""
        if kind in (tuple, set, frozenset):
            return kind.__name__, list(value)
        if kind in (bytes, bytearray):
            return kind.__name__, value.hex()
        if kind is complex:
            return "complex", [value.real, value.imag]
        if kind is range:
            return "range", [value.start, value.stop, value.step]
        if kind is type and PLAIN_BY_NAME.get(value.__name__) is value:
            return "type", value.__name__
        for tag, (view, _) in DICT_VIEWS.items():
            if kind is view:
                return tag, list(value)
        path = f"{kind.__module__}.{kind.__name__}"
        if path in LIBRARY and library(path) is kind:
            return path, LIBRARY[path][0](value)
        if self.lookup is None and kind is type(len) and getattr(builtins, value.__name__, None) is value:
            # The candidate gets its own one: a call back would let it choose the arguments of the tests' eval or open.
            return "builtin", value.__name__
        if hasattr(kind, "__next__"):
            self.exported.append(value.__next__)
            return "iterator", len(self.exported) - 1
        if callable(value) and kind is not type:
            self.exported.append(value)
            return "function", len(self.exported) - 1
        raise Refused(kind.__name__)

    def object_hook(self, tagged):
        """The value of an object with one key; its parts are rebuilt already."""
        (tag, data), = tagged.items()
        if tag == "dict":
            return dict(exactly(list, data))
        if tag in ("tuple", "set", "frozenset"):
            return PLAIN_BY_NAME[tag](exactly(list, data))
        if tag == "int":
            return int(exactly(str, data), 16)
        if tag == "float":
            return float(exactly(str, data))
        if tag in ("bytes", "bytearray"):
            return PLAIN_BY_NAME[tag].fromhex(data)
        if tag == "complex":
            return complex(*[exactly(float, part) for part in exactly(list, data)])
        if tag == "range":
            return range(*[exactly(int, part) for part in exactly(list, data)])
        if tag == "type":
            return PLAIN_BY_NAME[data]
        if tag == "builtin" and self.lookup is not None:
            return getattr(builtins, data)
        if tag in DICT_VIEWS:
            return DICT_VIEWS[tag][1](exactly(list, data))
        if tag in LIBRARY:
            return LIBRARY[tag][1](library(tag), data)
        number = exactly(int, data)
        if tag == "iterator":
            return Iterator(self, number)
        if tag == "function":
            return Function(self, number)
        raise Refused(tag)


class Remote:
    """Something of the other side that is only known by a number."""

    def __init__(self, peer, number):
        self.peer = peer
        self.number = number

    def __repr__(self):
        return f"<{type(self).__name__.lower()}>"


class Function(Remote):
    def __call__(self, *args, **kwargs):
        return self.peer.call(self.number, args, kwargs)


class Iterator(Remote):
    """May well be endless."""

    def __iter__(self):
        return self

    def __next__(self):
        return self.peer.call(self.number, (), {}, iterating=True)


def reflect(old, new):
    """Gives `old` the content of `new` in place, keeping inner containers where they match. False if it cannot."""
    kind = type(old)
    if kind is not type(new):
        return False
    if kind is tuple:
        return len(old) == len(new) and all([reflect(*pair) or pair[0] == pair[1] for pair in zip(old, new)])
    if kind is list and len(old) == len(new):
        for index, item in enumerate(new):
            if not reflect(old[index], item):
                old[index] = item
    elif kind in (list, bytearray):
        old[:] = new
    elif isinstance(old, dict):
        rows = [(key, old[key] if key in old and reflect(old[key], item) else item) for key, item in new.items()]
        old.clear()
        for key, item in rows:
            old[key] = item
    elif kind is set:
        old.clear()
        old.update(new)
    elif kind.__name__ == "deque":
        old.clear()
        old.extend(new)
    else:
        return False
    return True


def summary(error):
    """An exception in one line."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}"[:TEXT_LIMIT]


def private_pipes():
    """Copies of standard input and output that nothing else in the process writes to by accident."""
    return os.dup(0), os.dup(1)


def scanner(peer):
    """The parser behind the json package. The package itself takes longer to import than everything else here."""
    try:
        return make_scanner(peer)
    except NameError:
        return json.JSONDecoder(object_hook=peer.object_hook).raw_decode


try:
    from _json import encode_basestring_ascii as quote, make_scanner
except ImportError:
    import json
    from json.encoder import encode_basestring_ascii as quote
