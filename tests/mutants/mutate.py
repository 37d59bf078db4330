"""Mutants of Python functions: each differs from the original at one place of its syntax tree.

Operators: another comparison, arithmetic or Boolean operator; a negated condition; a constant one off, emptied or swapped; an
argument or branch dropped; a bound of a slice or range moved; a method or built-in function exchanged for a near one; a
statement left out; `break` for `continue`; a result of another type; an argument changed in place.

References: R. DeMillo, R. Lipton and F. Sayward, "Hints on Test Data Selection" (1978); Y. Jia and M. Harman, "An Analysis and
Survey of the Development of Mutation Testing" (2011).
"""

import ast
import copy

COMPARE = {
    ast.Lt: [ast.LtE, ast.Gt, ast.NotEq], ast.LtE: [ast.Lt, ast.Gt, ast.Eq], ast.Gt: [ast.GtE, ast.Lt, ast.NotEq],
    ast.GtE: [ast.Gt, ast.Lt, ast.Eq], ast.Eq: [ast.NotEq, ast.GtE, ast.LtE], ast.NotEq: [ast.Eq, ast.Gt, ast.Lt],
    ast.In: [ast.NotIn], ast.NotIn: [ast.In], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
}
ARITHMETIC = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Add, ast.FloorDiv], ast.FloorDiv: [ast.Mod, ast.Div, ast.Mult],
    ast.Mod: [ast.FloorDiv, ast.Mult], ast.Div: [ast.FloorDiv, ast.Mult], ast.Pow: [ast.Mult], ast.BitXor: [ast.BitOr, ast.BitAnd],
    ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd],
}
NEAR = {
    "min": ["max"], "max": ["min"], "all": ["any"], "any": ["all"], "sorted": ["list"], "sum": ["len"], "upper": ["lower"],
    "lower": ["upper"], "strip": ["lstrip", "rstrip"], "lstrip": ["rstrip", "strip"], "rstrip": ["lstrip", "strip"],
    "startswith": ["endswith"], "endswith": ["startswith"], "append": ["insert"], "abs": ["int"], "find": ["rfind"],
    "partition": ["rpartition"], "ljust": ["rjust"], "isoweekday": ["weekday"], "weekday": ["isoweekday"],
}


def mutants(source):
    """Pairs of what was done and the changed source, each source once."""
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    for index, node in enumerate(ast.walk(tree)):
        for what, change in changes(node):
            copied = copy.deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(copied)) if i == index)
            change(target, copied)
            text = ast.unparse(ast.fix_missing_locations(copied))
            if text not in seen:
                seen.add(text)
                yield f"line {getattr(node, 'lineno', 1)}: {what}", text


def changes(node):
    """What can be done to one node: a name, and a function of the node in a copy of the tree and of this copy."""
    if isinstance(node, ast.Compare):
        for i, kind in enumerate(node.ops):
            for new in COMPARE[type(kind)]:
                yield f"{name(kind)} becomes {new.__name__}", lambda n, _, i=i, new=new: n.ops.__setitem__(i, new())
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        for new in ARITHMETIC.get(type(node.op), []):
            yield f"{name(node.op)} becomes {new.__name__}", lambda n, _, new=new: setattr(n, "op", new())
    if isinstance(node, ast.BoolOp):
        new = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{name(node.op)} becomes {new.__name__}", lambda n, _: setattr(n, "op", new())
        for i in range(len(node.values)):
            yield f"operand {i + 1} of {name(node.op)} dropped", lambda n, _, i=i: n.values.pop(i)
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "condition negated", lambda n, _: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))
    if isinstance(node, ast.comprehension):
        for i in range(len(node.ifs)):
            yield f"filter {i + 1} dropped", lambda n, _, i=i: n.ifs.pop(i)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield f"{name(node.op)} dropped", lambda n, tree: replace(tree, n, n.operand)
    if isinstance(node, ast.Constant):
        yield from constants(node)
    if isinstance(node, ast.Call):
        yield from calls(node)
    if isinstance(node, ast.Slice):
        for part in ("lower", "upper", "step"):
            if getattr(node, part):
                yield f"{part} of the slice dropped", lambda n, _, part=part: setattr(n, part, None)
    for field in ("body", "orelse"):
        body = getattr(node, field, None)
        if isinstance(body, list) and not isinstance(node, ast.Module):
            for i, line in enumerate(body):
                yield from statements(field, i, line)
    if isinstance(node, ast.Return) and node.value and not isinstance(node.value, (ast.Constant, ast.JoinedStr)):
        yield "the value is returned as another type", lambda n, _: setattr(n, "value", other_type(n.value))
    if isinstance(node, ast.FunctionDef) and node.args.args:
        for argument in node.args.args:
            yield f"{argument.arg} is changed in place", lambda n, _, a=argument.arg: n.body.insert(0, ast.parse(SPOIL.format(a)).body[0])


SPOIL = "if isinstance({0}, (list, dict)):\n    __spoiled, {0} = {0}, __import__('copy').deepcopy({0})\n    __spoiled.clear()"


def constants(node):
    value = node.value
    if value is True or value is False:
        yield f"{value} becomes {not value}", lambda n, _: setattr(n, "value", not value)
    elif isinstance(value, int):
        for new in (value + 1, value - 1):
            yield f"{value} becomes {new}", lambda n, _, new=new: setattr(n, "value", new)
    elif isinstance(value, str):
        new = "" if value else "x"
        yield f"{value!r} becomes {new!r}", lambda n, _: setattr(n, "value", new)
        if len(value) > 1:
            yield f"{value!r} loses its last character", lambda n, _: setattr(n, "value", value[:-1])
            yield f"{value!r} loses its first character", lambda n, _: setattr(n, "value", value[1:])
    elif value is None:
        yield "None becomes False", lambda n, _: setattr(n, "value", False)


def calls(node):
    attribute = isinstance(node.func, ast.Attribute)
    called = node.func.attr if attribute else getattr(node.func, "id", "")
    for new in NEAR.get(called, []):
        if called != "append":
            yield f"{called} becomes {new}", lambda n, _, new=new: setattr(n.func, "attr" if attribute else "id", new)
    if called == "append":
        yield "append becomes insert at the front", to_front
    if called == "range" and len(node.args) > 1:
        yield "range starts one later", lambda n, _: n.args.__setitem__(0, one_off(n.args[0], ast.Add))
    if called == "range":
        at = 0 if len(node.args) == 1 else 1
        for kind in (ast.Add, ast.Sub):
            yield f"range ends one {'later' if kind is ast.Add else 'earlier'}", lambda n, _, k=kind: n.args.__setitem__(at, one_off(n.args[at], k))
    for i in range(len(node.keywords)):
        yield f"{node.keywords[i].arg} dropped", lambda n, _, i=i: n.keywords.pop(i)
    if len(node.args) == 2 and called in ("get", "split", "replace", "enumerate", "setdefault", "zip", "divmod", "pop"):
        yield "arguments swapped" if called == "divmod" else "last argument dropped", (
            (lambda n, _: n.args.reverse()) if called == "divmod" else (lambda n, _: n.args.pop()))
    if attribute and called in ("strip", "lstrip", "rstrip", "lower", "upper", "copy") or called in ("sorted", "set", "abs", "list", "reversed"):
        value = (lambda n: n.func.value) if attribute else (lambda n: n.args[0])
        if attribute or node.args:
            yield f"{called} dropped", lambda n, tree: replace(tree, n, value(n))


def statements(field, i, line):
    if isinstance(line, (ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.For, ast.While, ast.Return, ast.Import, ast.ImportFrom)):
        if not isinstance(line, (ast.Import, ast.ImportFrom)):
            yield f"line {line.lineno} left out", lambda n, _: getattr(n, field).__setitem__(i, ast.Pass())
    if isinstance(line, (ast.Break, ast.Continue)):
        new = ast.Continue if isinstance(line, ast.Break) else ast.Break
        yield f"{name(line)} becomes {new.__name__}", lambda n, _: getattr(n, field).__setitem__(i, new())


def other_type(value):
    """The value as another type that compares equal or nearly so."""
    text = "(lambda v: float(v) if type(v) is int else int(v) if type(v) is bool else list(v) if type(v) is tuple else tuple(v) if type(v) is list else v)(0)"
    call = ast.parse(text, mode="eval").body
    call.args = [value]
    return call


def to_front(call, _):
    call.func.attr = "insert"
    call.args.insert(0, ast.Constant(0))


def one_off(value, kind):
    return ast.BinOp(value, kind(), ast.Constant(1))


def replace(tree, old, new):
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if value is old:
                setattr(node, field, new)
            elif isinstance(value, list) and any(part is old for part in value):
                setattr(node, field, [new if part is old else part for part in value])


def name(node):
    return type(node).__name__
