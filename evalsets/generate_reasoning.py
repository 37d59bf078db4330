#!/usr/bin/env python3
"""Writes the generated items of reasoning-zh and reasoning-en: twins with the same numbers and the same key.

    python3 evalsets/generate_reasoning.py           rewrites the generated lines of both items.jsonl
    python3 evalsets/generate_reasoning.py --check   exits 1 if they are not what it would write

Generated lines are those with `"style": "generated"`; every other line stays as it is, byte for byte. Keys are right by
construction, and again by brute force where the world is small: orders over all permutations, syllogisms over all set
models, conditionals over all truth values, regularities against a library of rival rules that must agree.

Standard library of Python 3.9 or later only. Numbers come from an own xorshift64*, seeded by FNV-1a of SEED and the item's
place in its plan, so that every version writes the same bytes and a change to one recipe leaves the other items alone, but
for the place of their right option.
"""

import itertools
import json
import re
import sys
from collections import namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = "ballast-reasoning-1"
FIRST = 121
MASK = (1 << 64) - 1

# form: the recipe and its shape; numbers: what it was filled with. No two items share both.
# answer: of a number item. options: of a choice item, as (zh, en), the right one first.
Draft = namedtuple("Draft", "form numbers zh en answer options")


class Rng:
    """xorshift64*, seeded by the FNV-1a hash of a text."""

    def __init__(self, text):
        state = 0xCBF29CE484222325
        for byte in f"{SEED}/{text}".encode():
            state = (state ^ byte) * 0x100000001B3 & MASK
        self.state = state or 1

    def next(self):
        x = self.state
        x ^= x >> 12
        x ^= x << 25 & MASK
        x ^= x >> 27
        self.state = x
        return x * 0x2545F4914F6CDD1D & MASK

    def below(self, n):
        return self.next() * n >> 64

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, values):
        return values[self.below(len(values))]

    def shuffled(self, values):
        values = list(values)
        for last in range(len(values) - 1, 0, -1):
            other = self.below(last + 1)
            values[last], values[other] = values[other], values[last]
        return values

    def sample(self, values, count):
        return self.shuffled(values)[:count]


def number(form, numbers, zh, en, answer):
    """None where the answer stands in the question: who repeats a number of it must not be right."""
    assert isinstance(answer, int) and answer >= 0, (form, numbers, answer)
    if any(str(answer) in re.findall(r"\d+", text) for text in (zh, en)):
        return None
    return Draft(form, tuple(numbers), zh, en, answer, None)


def choice(form, numbers, zh, en, options):
    return Draft(form, tuple(numbers), zh, en, None, options)


def joined(words, lang):
    if lang == "zh":
        return "、".join(words)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def sentence(text):
    return text[0].upper() + text[1:]


ZH_COUNT = {1: "一", 2: "两", 3: "三", 4: "四", 5: "五"}
EN_COUNT = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
ZH_RANK = {1: "一", 2: "二", 3: "三", 4: "四", 5: "五"}
EN_RANK = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}
PEOPLE = [("小雯", "Wendy"), ("小萍", "Penny"), ("小琳", "Lynn"), ("小云", "Claire"), ("小婷", "Tina"), ("小慧", "Holly"),
          ("小刚", "Greg"), ("小磊", "Leo"), ("小涛", "Todd"), ("小峰", "Finn"), ("小宇", "Hugh"), ("小浩", "Howard")]
DAYS = [("星期一", "Monday"), ("星期二", "Tuesday"), ("星期三", "Wednesday"), ("星期四", "Thursday"), ("星期五", "Friday"),
        ("星期六", "Saturday"), ("星期日", "Sunday")]
UNSURE = ("无法确定", "It cannot be determined")


# --- sequence -----------------------------------------------------------------------------------------------------------

NEXT = [
    ("下面的数按规律排列：{zh}……下一个数是多少？", "These numbers follow a pattern: {en}, ... What is the next number?"),
    ("{pzh}按一条规律在纸上写数，依次写下了{zh}。接下来应该写哪个数？",
     "{pen} writes numbers on a sheet of paper by a rule: {en}. Which number should come next?"),
    ("一排信箱的编号有规律，依次是{zh}……紧接着的下一个信箱的编号是多少？",
     "The mailboxes in a row are numbered by a rule: {en}, and so on. What is the number of the next mailbox?"),
    ("屏幕上依次出现了{zh}，这些数遵循同一条规律。下一个出现的数是多少？",
     "A screen shows these numbers one after another, all by one rule: {en}. What number will it show next?"),
]
MISSING = [
    ("在有规律的数列{zh}中，有一个数被墨水盖住了，用“？”表示。这个数是多少？",
     "In the sequence {en}, which follows a rule, one number is covered by ink and shown as a question mark. What is that number?"),
    ("表格的一行里按规律填着{zh}。问号处应该填多少？",
     "One row of a table is filled by a rule: {en}. What number belongs in place of the question mark?"),
]


# What hand-written items and the training rows of fixtures/ already show.
KNOWN = [(5, 15, 45), (2, 6, 18), (3, 6, 12), (96, 48, 24), (3, 7, 11), (1, 2, 4, 7), (100, 81, 64), (3, 8, 14), (5, 11, 23), (100, 93, 86),
         (2, 3, 5, 8), (1, 4, 9), (2, 4, 6), (5, 10, 15), (10, 20, 30), (1, 3, 5), (1, 1, 2)]


def within(part, terms):
    return any(tuple(terms[start:start + len(part)]) == part for start in range(len(terms)))


def shown(rng, form, surface, terms, hidden=None):
    """Asks for the last of the terms, or for a hidden one in the middle."""
    templates = NEXT if hidden is None else MISSING
    at = len(terms) - 1 if hidden is None else hidden
    if min(terms) < 0 or max(terms) > 1300 or len(set(terms)) < len(terms) or any(within(known, terms) for known in KNOWN):
        return None
    seen = [str(term) for term in terms]
    if hidden is None:
        seen.pop()
        zh_seen, en_seen = seen, seen
    else:
        zh_seen, en_seen = [[mark if index == at else term for index, term in enumerate(seen)] for mark in "？?"]
    zh_name, en_name = rng.pick(PEOPLE)
    zh, en = templates[surface]
    zh = zh.format(zh="、".join(zh_seen), pzh=zh_name)
    en = en.format(en=", ".join(en_seen), pen=en_name)
    return number(form, terms, zh, en, terms[at])


def arithmetic(surface, step, down=False, hidden=None):
    def recipe(rng):
        start = rng.between(60, 99) if down else rng.between(2, 25)
        terms = [start + index * (-step if down else step) for index in range(6)]
        return shown(rng, "arithmetic", surface, terms, hidden) if start % step else None
    return recipe


def geometric(surface, ratio, down=False, hidden=None):
    def recipe(rng):
        terms = [rng.between(2, 9)]
        while len(terms) < (6 if ratio == 2 else 5):
            terms.append(terms[-1] * ratio)
        return shown(rng, "geometric", surface, terms[::-1] if down else terms, hidden)
    return recipe


def powers(surface, power, factor=1):
    def recipe(rng):
        shift = rng.pick([-2, -1, 1, 2, 3, 4, 5])
        first = 2 if power == 2 else 1
        return shown(rng, f"power{power}", surface, [factor * n**power + shift for n in range(first, first + 6)])
    return recipe


def growing_steps(surface):
    def recipe(rng):
        terms, step, growth = [rng.between(2, 12)], rng.between(2, 5), rng.between(2, 4)
        for index in range(6):
            terms.append(terms[-1] + step + growth * index)
        return shown(rng, "growing", surface, terms)
    return recipe


def two_before(surface):
    def recipe(rng):
        terms = [rng.between(2, 6), rng.between(3, 9)]
        while len(terms) < 7:
            terms.append(terms[-1] + terms[-2])
        return shown(rng, "fibonacci", surface, terms) if terms[0] < terms[1] else None
    return recipe


def interleaved(surface):
    def recipe(rng):
        low, up, high, down = rng.between(2, 9), rng.between(2, 5), rng.between(50, 80), rng.between(3, 6)
        terms = []
        for index in range(5):
            terms += [low + index * up, high - index * down]
        return shown(rng, "interleaved", surface, terms[:9])
    return recipe


def affine_steps(surface):
    def recipe(rng):
        factor, shift = rng.pick([(2, 1), (2, 3), (2, 5), (3, 1), (3, -1), (3, -2)])
        terms = [rng.between(2, 6)]
        while len(terms) < 6:
            terms.append(terms[-1] * factor + shift)
        return shown(rng, "affine", surface, terms)
    return recipe


def two_operations(surface):
    def recipe(rng):
        add, terms = rng.between(2, 6), [rng.between(2, 6)]
        while len(terms) < 8:
            terms.append(terms[-1] + add if len(terms) % 2 else terms[-1] * 2)
        return shown(rng, "two-operations", surface, terms)
    return recipe


def nth_term(surface):
    def recipe(rng):
        first, step, place = rng.between(3, 20), rng.between(3, 8), rng.between(9, 21)
        if surface == 0:
            zh = f"一个数列的第1项是{first}，从第2项起，每一项都比前一项多{step}。第{place}项是多少？"
            en = f"The first term of a sequence is {first}, and each later term is {step} more than the term before it. What is term number {place}?"
        else:
            zh = f"剧场第1排有{first}个座位，从第2排起，每一排都比前一排多{step}个座位。第{place}排有多少个座位？"
            en = f"Row 1 of a theater has {first} seats, and each later row has {step} more seats than the row before it. How many seats are in row {place}?"
        return number("nth-term", (first, step, place), zh, en, first + (place - 1) * step)
    return recipe


def stated_recursion(rng):
    first, factor, less, place = rng.between(4, 9), rng.between(2, 3), rng.between(2, 5), rng.between(4, 5)
    value = first
    for _ in range(place - 1):
        value = value * factor - less
    zh = f"一个数列的第1个数是{first}。从第2个数起，每个数都等于它前一个数的{factor}倍减去{less}。第{place}个数是多少？"
    en = f"The first number of a sequence is {first}. Each later number is {factor} times the number before it, minus {less}. What is number {place} of the sequence?"
    return number("recursion", (first, factor, less, place), zh, en, value)


def stated_sum(rng):
    a, b, place = rng.between(2, 9), rng.between(2, 9), rng.between(7, 8)
    terms = [a, b]
    while len(terms) < place:
        terms.append(terms[-1] + terms[-2])
    zh = f"一个数列的前两个数是{a}和{b}。从第3个数起，每个数都等于它前面两个数的和。第{place}个数是多少？"
    en = f"A sequence begins with {a} and {b}. From the third number on, each number is the sum of the two numbers before it. What is number {place} of the sequence?"
    return number("stated-sum", (a, b, place), zh, en, terms[-1]) if a != b else None


SEQUENCE = [
    # easy
    arithmetic(0, 4), arithmetic(1, 8), arithmetic(2, 11), arithmetic(3, 3, down=True), arithmetic(1, 9, down=True), arithmetic(0, 6, hidden=3),
    geometric(0, 2), geometric(3, 3), geometric(1, 2, down=True),
    # medium
    powers(0, 2), powers(3, 2, factor=2), growing_steps(1), growing_steps(0), two_before(3), two_before(1), nth_term(0), nth_term(1),
    geometric(1, 3, hidden=3),
    # hard
    interleaved(0), interleaved(3), affine_steps(1), affine_steps(0), two_operations(3), powers(1, 3),
    stated_recursion, stated_sum,
]


# --- induction ----------------------------------------------------------------------------------------------------------

RULES = {
    "add": lambda rng: (lambda c: lambda x: x + c)(rng.between(4, 9)),
    "times": lambda rng: (lambda k: lambda x: x * k)(rng.between(3, 6)),
    "less": lambda rng: (lambda c: lambda x: x - c)(rng.between(4, 9)),
    "affine": lambda rng: (lambda k, c: lambda x: x * k + c)(rng.between(2, 5), rng.pick([-3, -2, -1, 1, 2, 3, 4])),
    "square": lambda rng: (lambda c: lambda x: x * x + c)(rng.pick([-2, -1, 2, 3, 4, 5])),
    "reversed": lambda rng: lambda x: x % 10 * 10 + x // 10,
    "digit-sum": lambda rng: lambda x: x % 10 + x // 10,
    "digit-product": lambda rng: lambda x: x % 10 * (x // 10),
}
DIGIT_RULES = ("reversed", "digit-sum", "digit-product")
MAPPINGS = [
    ("一台机器按固定的规则把放进去的数变成另一个数：{zh}。放进{x}，会出来多少？", "放进{a}，出来{b}", "；",
     "A machine turns each number put into it into another number by a fixed rule: {en}. What comes out when {x} is put in?",
     "{a} goes in and {b} comes out", "; "),
    ("每张卡片背面的数都由正面的数按同一条规则得出：{zh}。正面是{x}的卡片，背面是多少？", "正面是{a}的，背面是{b}", "；",
     "On every card, one rule leads from the number on the front to the number on the back. {en}. What number is on the back of the card with {x} on the front?",
     "front {a}, back {b}", "; "),
    ("{p}和{q}玩暗号游戏，{q}总是按同一条规则回答：{zh}。{p}说{x}，{q}应该答多少？", "{p}说{a}，{q}答{b}", "；",
     "{p} and {q} play a game in which {q} always answers by the same rule: {en}. If {p} says {x}, what number should {q} answer?",
     "{p} says {a} and {q} answers {b}", "; "),
]


def mapping(surface, rule, examples=3):
    """A rule from numbers to numbers; for digit rules, numbers of two different digits."""
    def recipe(rng):
        apply = RULES[rule](rng)
        if rule in DIGIT_RULES:
            domain = [x for x in range(12, 99) if x % 10 > 1 and x // 10 > 1 and x % 10 != x // 10]
        elif rule == "less":
            domain = range(12, 60)
        else:
            domain = range(2, 13)
        *xs, asked = rng.sample(domain, examples + 1)
        ys = [apply(x) for x in xs]
        readings = {found(asked) for found in rival_functions() if all(found(x) == y for x, y in zip(xs, ys))}
        if min(ys) < 1 or len(set(ys)) < len(ys) or readings != {apply(asked)}:
            return None
        (pzh, pen), (qzh, qen) = rng.sample(PEOPLE, 2)
        zh, zh_one, zh_gap, en, en_one, en_gap = MAPPINGS[surface]
        zh_all = zh_gap.join(zh_one.format(a=x, b=y, p=pzh, q=qzh) for x, y in zip(xs, ys))
        en_all = en_gap.join(en_one.format(a=x, b=y, p=pen, q=qen) for x, y in zip(xs, ys))
        en_all = sentence(en_all) if surface == 1 else en_all
        zh = zh.format(zh=zh_all, x=asked, p=pzh, q=qzh)
        en = en.format(en=en_all, x=asked, p=pen, q=qen)
        return number(f"map-{rule}", (*xs, *ys, asked), zh, en, apply(asked))
    return recipe


def rival_functions():
    """Rules that a reader might see in a few examples."""
    for k in range(-3, 10):
        for c in range(-30, 31):
            yield lambda x, k=k, c=c: k * x + c
    for square, k in itertools.product((1, 2), range(-3, 4)):
        for c in range(-12, 13):
            yield lambda x, s=square, k=k, c=c: s * x * x + k * x + c
    for a, b in itertools.product(range(-3, 11), repeat=2):
        for c in range(-3, 4):
            yield lambda x, a=a, b=b, c=c: a * (x // 10) + b * (x % 10) + c
    for c in range(-3, 4):
        yield lambda x, c=c: (x // 10) * (x % 10) + c
        yield lambda x, c=c: abs(x // 10 - x % 10) + c


PAIRS = [
    ("“★”是一种新的运算，按同一条规则由两个正整数算出结果：{zh}。{x}★{y}等于多少？",
     "“★” is a new operation that works out a result from two whole numbers by one rule: {en}. What is {x} ★ {y}?"),
    ("每张票上有两个数，票价由这两个数按同一条规则算出。已知：{zh}。写着{x}和{y}的票，票价是多少元？",
     "Each ticket shows two numbers, and its price is worked out from them by one rule: {en}. What is the price in dollars of the ticket that shows {x} and {y}?"),
]


def pair_rule(surface, product):
    def recipe(rng):
        a, b, c = rng.between(1, 3), rng.between(2, 4), rng.pick([-2, -1, 1, 2, 3])
        rule = (lambda x, y: x * y + c) if product else (lambda x, y: a * x + b * y)
        *seen, asked = rng.sample([(x, y) for x in range(2, 10) for y in range(2, 10) if x != y], 5)
        values = [rule(*pair) for pair in seen]
        readings = {found(*asked) for found in rival_operations() if all(found(*pair) == value for pair, value in zip(seen, values))}
        if readings != {rule(*asked)} or (not product and a == b):
            return None
        if surface == 0:
            zh_all = "，".join(f"{x}★{y}＝{value}" for (x, y), value in zip(seen, values))
            en_all = ", ".join(f"{x} ★ {y} = {value}" for (x, y), value in zip(seen, values))
        else:
            zh_all = "；".join(f"写着{x}和{y}的票{value}元" for (x, y), value in zip(seen, values))
            en_all = "; ".join(f"{x} and {y} cost {value} dollars" for (x, y), value in zip(seen, values))
        zh, en = PAIRS[surface]
        flat = [part for pair, value in zip(seen, values) for part in (*pair, value)]
        return number(f"pair-{product}", (*flat, *asked), zh.format(zh=zh_all, x=asked[0], y=asked[1]),
                      en.format(en=en_all, x=asked[0], y=asked[1]).replace("“", '"').replace("”", '"'), rule(*asked))
    return recipe


def rival_operations():
    for a, b in itertools.product(range(-3, 6), repeat=2):
        for c in range(-10, 11):
            yield lambda x, y, a=a, b=b, c=c: a * x + b * y + c
    for a, b in itertools.product(range(-2, 3), repeat=2):
        for c in range(-10, 11):
            yield lambda x, y, a=a, b=b, c=c: x * y + a * x + b * y + c
    for a, b in itertools.product(range(-2, 4), repeat=2):
        yield lambda x, y, a=a, b=b: x * x + a * x + b * y
        yield lambda x, y, a=a, b=b: y * y + a * x + b * y


def digit_sum(n):
    return n // 10 + n % 10


CLASSES = {
    "multiple": lambda rng: (lambda k: lambda n: n % k == 0)(rng.pick([3, 4])),
    "falling": lambda rng: lambda n: n // 10 > n % 10,
    "digits": lambda rng: (lambda s: lambda n: digit_sum(n) == s)(rng.between(8, 11)),
}
SORTED = [
    ("分拣机按固定的规则把写着数的小球放进红箱或蓝箱。进红箱的有{yes}；进蓝箱的有{no}。下面哪个数的小球会进红箱？",
     "A sorting machine puts numbered balls into a red bin or a blue bin by a fixed rule. Into the red bin go {yes}; into the blue bin go {no}. Which ball goes into the red bin?"),
    ("{p}心里有一条规则，符合规则的数叫“好数”。{yes}都是好数，{no}都不是好数。下面哪个数是好数？",
     "{p} calls some numbers lucky by a secret rule. The numbers {yes} are lucky; the numbers {no} are not. Which of these numbers is lucky?"),
    ("一扇门只对某些两位数的密码打开，规则固定。能开门的密码有{yes}；不能开门的有{no}。下面哪个密码能开门？",
     "A door opens only for two-digit codes that follow a fixed rule. The codes {yes} open it; the codes {no} do not. Which of these codes opens the door?"),
]


def classes(surface, kind):
    """Members and others of a class of numbers; every rival class that fits them picks the same option."""
    def recipe(rng):
        inside = CLASSES[kind](rng)
        members = [n for n in range(11, 99) if inside(n)]
        others = [n for n in range(11, 99) if not inside(n)]
        if len(members) < 6:
            return None
        *yes, right = rng.sample(members, 5)
        drawn = rng.sample(others, 10)
        no, wrong = drawn[:7], drawn[7:]
        fitting = [rival for rival in rival_classes() if all(map(rival, yes)) and not any(map(rival, no))]
        if not fitting or any(not rival(right) or any(map(rival, wrong)) for rival in fitting):
            return None
        zh, en = SORTED[surface]
        pzh, pen = rng.pick(PEOPLE)
        yes_text, no_text = [str(n) for n in yes], [str(n) for n in no]
        zh = zh.format(yes="、".join(yes_text), no="、".join(no_text), p=pzh)
        en = en.format(yes=joined(yes_text, "en"), no=joined(no_text, "en"), p=pen)
        return choice(f"class-{kind}", (*yes, *no), zh, en, [(str(n), str(n)) for n in [right, *wrong]])
    return recipe


def rival_classes():
    for k in range(2, 13):
        for rest in range(k):
            yield lambda n, k=k, rest=rest: n % k == rest
            yield lambda n, k=k, rest=rest: n % k != rest
    for limit in range(11, 99):
        yield lambda n, limit=limit: n >= limit
        yield lambda n, limit=limit: n < limit
    for s in range(1, 19):
        yield lambda n, s=s: digit_sum(n) == s
        yield lambda n, s=s: digit_sum(n) >= s
        yield lambda n, s=s: digit_sum(n) < s
        yield lambda n, s=s: abs(n // 10 - n % 10) == s
        yield lambda n, s=s: abs(n // 10 - n % 10) >= s
        yield lambda n, s=s: abs(n // 10 - n % 10) < s
    for digit in range(1, 10):
        yield lambda n, d=digit: d in (n // 10, n % 10)
        yield lambda n, d=digit: d not in (n // 10, n % 10)
        yield lambda n, d=digit: n // 10 >= d
        yield lambda n, d=digit: n // 10 < d
        yield lambda n, d=digit: n % 10 >= d
        yield lambda n, d=digit: n % 10 < d
    for parity in (0, 1):
        yield lambda n, p=parity: digit_sum(n) % 2 == p
        yield lambda n, p=parity: n // 10 % 2 == p
        yield lambda n, p=parity: (n // 10 * (n % 10)) % 2 == p
    yield lambda n: n // 10 > n % 10
    yield lambda n: n // 10 < n % 10
    yield lambda n: all(n % k for k in range(2, n))
    yield lambda n: any(n % k == 0 for k in range(2, n))


def letters_step(rng):
    start, step = rng.between(1, 4), rng.pick([3, 4])
    down = rng.below(2)
    places = [25 - start - step * index if down else start + step * index for index in range(6)]
    letter = lambda place: chr(65 + place)
    right = places[5]
    wrong = rng.sample([right + shift for shift in (-3, -2, -1, 1, 2, 3) if 4 <= right + shift < 26 and right + shift not in places], 3)
    if not 4 <= right < 26 or len(wrong) < 3:
        return None
    seen = [letter(place) for place in places[:5]]
    zh = f"字母按字母表中的一定规律排列：{'、'.join(seen)}……下一个字母是什么？"
    en = f"These letters follow a pattern in the alphabet: {', '.join(seen)}, ... Which letter comes next?"
    return choice("letters-step", places, zh, en, [(letter(place),) * 2 for place in [right, *wrong]])


def letters_code(rng):
    shift = rng.pick([-2, -1, 1, 2, 3])
    words = ["CUP", "DOG", "FOX", "HEN", "INK", "JOB", "LID", "MUG", "NET", "OWL", "PEN", "RUG", "SUN", "TOP", "VEG", "PIG"]
    one, two, asked = rng.sample(words, 3)
    moved = lambda word, by: "".join(chr(ord(letter) + by) for letter in word)
    if any(not "A" <= letter <= "Z" for word in (one, two, asked) for by in (shift, -shift) for letter in moved(word, by)):
        return None
    right = moved(asked, shift)
    wrong = [moved(asked, -shift), right[::-1], right[:2] + chr(ord(right[2]) + (1 if right[2] < "Z" else -1))]
    zh = f"一种暗号按同一条规则改写单词：{one}写成{moved(one, shift)}，{two}写成{moved(two, shift)}。{asked}会写成什么？"
    en = f"A code rewrites words by one rule: {one} is written {moved(one, shift)}, and {two} is written {moved(two, shift)}. How is {asked} written?"
    return choice("letters-code", (one, two, asked, shift), zh, en, [(text, text) for text in [right, *wrong]])


INDUCTION = [
    # easy
    mapping(0, "add"), mapping(1, "times"), mapping(2, "less"), mapping(2, "reversed"), letters_step,
    # medium
    mapping(1, "affine"), mapping(0, "affine"), mapping(0, "digit-sum"), classes(0, "multiple"), classes(1, "falling"), letters_code,
    # hard
    mapping(2, "square", 4), mapping(1, "digit-product"), pair_rule(0, False), pair_rule(1, True), classes(2, "digits"),
]


# --- syllogism ----------------------------------------------------------------------------------------------------------

# A statement is (kind, x, y) over classes numbered from 0: all, no, some, some-not; or (is, None, y), (is-not, None, y) of
# the one individual. A model is the set of occupied regions, each the set of classes it lies in; every class has a member.

def models(count, individual):
    regions = [frozenset(index for index in range(count) if bits >> index & 1) for bits in range(2**count)]
    for chosen in range(1, 2 ** len(regions)):
        occupied = [region for index, region in enumerate(regions) if chosen >> index & 1]
        if all(any(index in region for region in occupied) for index in range(count)):
            for one in occupied if individual else [None]:
                yield occupied, one


def holds(statement, model):
    kind, x, y = statement
    occupied, one = model
    if kind in ("is", "is-not"):
        return (y in one) == (kind == "is")
    inside = [region for region in occupied if x in region]
    return {
        "all": all(y in region for region in inside),
        "no": not any(y in region for region in inside),
        "some": any(y in region for region in inside),
        "some-not": any(y not in region for region in inside),
    }[kind]


MODELS = {}


def verdicts(premises, count, conclusions):
    """For each conclusion: true, false or unsure, over all models of the premises."""
    individual = any(statement[0] in ("is", "is-not") for statement in [*premises, *conclusions])
    key = (count, individual)
    if key not in MODELS:
        MODELS[key] = list(models(count, individual))
    possible = [model for model in MODELS[key] if all(holds(premise, model) for premise in premises)]
    assert possible, premises
    found = []
    for conclusion in conclusions:
        values = {holds(conclusion, model) for model in possible}
        found.append("unsure" if len(values) == 2 else "true" if values == {True} else "false")
    return found


WORDS = [("洛姆", "lom"), ("图卡", "tuka"), ("布林", "brin"), ("德夫", "deff"), ("加祖", "gazu"), ("菲普", "feep"), ("纳沃", "navo"),
         ("米克", "mik"), ("索罗", "soro"), ("沃格", "vog")]
CLUBS = [("象棋社", "the chess club"), ("合唱团", "the choir"), ("篮球社", "the basketball club"), ("摄影社", "the photography club"),
         ("话剧社", "the drama club"), ("舞蹈社", "the dance club"), ("书法社", "the calligraphy club")]
BOXES = [("红色", "red"), ("木制", "wooden"), ("空", "empty"), ("进口", "imported"), ("防水", "waterproof")]


class Creatures:
    """Invented words."""
    words = WORDS

    @staticmethod
    def intro(zh, en, rng):
        count = len(zh)
        return (f"{joined(zh, 'zh')}是某个虚构世界里的{ZH_COUNT[count]}类生物，每一类都确实存在，同一只生物可以同时属于几类。",
                f"{sentence(joined([word + 's' for word in en], 'en'))} are {EN_COUNT[count]} classes of creatures in an imaginary world; each class has members, and one creature may belong to several classes.")

    one = ("皮皮", "Pim")
    zh = {"all": "所有的{x}都是{y}", "no": "没有一只{x}是{y}", "some": "至少有一只{x}是{y}", "some-not": "至少有一只{x}不是{y}",
          "is": "{one}是一只{y}", "is-not": "{one}不是{y}"}
    en = {"all": "all {x}s are {y}s", "no": "no {x} is a {y}", "some": "at least one {x} is a {y}",
          "some-not": "at least one {x} is not a {y}", "is": "{one} is a {y}", "is-not": "{one} is not a {y}"}


class Students:
    """Clubs of a school."""
    words = CLUBS

    @staticmethod
    def intro(zh, en, rng):
        return (f"某校的{joined(zh, 'zh')}都有成员，一名学生可以同时参加几个。",
                f"At one school, {joined(en, 'en')} all have members, and a student may belong to more than one of them.")

    one = ("小涛", "Todd")
    zh = {"all": "{x}里人人都参加了{y}", "no": "{x}里没有人参加{y}", "some": "{x}里至少有一个人参加了{y}",
          "some-not": "{x}里至少有一个人没有参加{y}", "is": "{one}参加了{y}", "is-not": "{one}没有参加{y}"}
    en = {"all": "everyone in {x} is in {y}", "no": "no one in {x} is in {y}", "some": "at least one person in {x} is in {y}",
          "some-not": "at least one person in {x} is not in {y}", "is": "{one} is in {y}", "is-not": "{one} is not in {y}"}


class Warehouse:
    """Boxes with properties."""
    words = BOXES

    @staticmethod
    def intro(zh, en, rng):
        return (f"仓库里有许多箱子，其中有{'的，有'.join(zh[:-1])}的，也有{zh[-1]}的，一个箱子可以同时具有几种特点。",
                f"A warehouse holds many boxes. Some are {', some are '.join(en[:-1])} and some are {en[-1]}, and a box may be several of these at once.")

    one = ("12号箱子", "Box 12")
    zh = {"all": "所有{x}的箱子都是{y}的", "no": "没有一个{x}的箱子是{y}的", "some": "至少有一个{x}的箱子是{y}的",
          "some-not": "至少有一个{x}的箱子不是{y}的", "is": "{one}是{y}的", "is-not": "{one}不是{y}的"}
    en = {"all": "all {x} boxes are {y}", "no": "no {x} box is {y}", "some": "at least one {x} box is {y}",
          "some-not": "at least one {x} box is not {y}", "is": "{one} is {y}", "is-not": "{one} is not {y}"}


def say(world, statement, zh_words, en_words):
    kind, x, y = statement
    fill = lambda words, one: dict(x=words[x] if x is not None else "", y=words[y], one=one)
    return world.zh[kind].format(**fill(zh_words, world.one[0])), sentence(world.en[kind].format(**fill(en_words, world.one[1])))


TRUTH = {"true": ("一定正确", "It must be true"), "false": ("一定错误", "It must be false"), "unsure": UNSURE}
ASK_TRUTH = [
    ("仅根据以上信息，“{}”这句话是否正确？", "Going by this information alone, is it true that {}?"),
    ("由此看来，“{}”这个说法对不对？", 'From this, what can be said about the claim "{}"?'),
    ("根据这些条件，“{}”这句话是对、是错，还是无法确定？", 'Given these facts, is the statement "{}" true, false or impossible to determine?'),
]


def truth_options(verdict):
    return [TRUTH[verdict], *(text for name, text in TRUTH.items() if name != verdict)]


def setting(rng, world, premises, count):
    words = rng.sample(world.words, count)
    zh_words, en_words = [zh for zh, _ in words], [en for _, en in words]
    zh, en = world.intro(zh_words, en_words, rng)
    for statement in premises:
        one_zh, one_en = say(world, statement, zh_words, en_words)
        zh, en = zh + one_zh + "。", en + " " + one_en + "."
    return zh_words, en_words, zh, en


def judge(world, surface, premises, conclusion, expected, count=3):
    """A conclusion to call true, false or open."""
    def recipe(rng):
        [verdict] = verdicts(premises, count, [conclusion])
        assert verdict == expected, (premises, conclusion, verdict)
        zh_words, en_words, zh, en = setting(rng, world, premises, count)
        zh_end, en_end = say(world, conclusion, zh_words, en_words)
        ask_zh, ask_en = ASK_TRUTH[surface]
        if surface == 0 and not conclusion[0].startswith("is"):  # a name stays upper case
            en_end = en_end[0].lower() + en_end[1:]
        return choice("judge", (*premises, conclusion, *zh_words), zh + ask_zh.format(zh_end), f"{en} {ask_en.format(en_end)}", truth_options(verdict))
    return recipe


def entailed(world, premises, right, count=3):
    """The one of four statements that follows."""
    def recipe(rng):
        ends = (right[1], right[2])
        pool = [(kind, x, y) for kind in ("all", "no", "some", "some-not") for x, y in itertools.permutations(range(count), 2)]
        open_ones = [statement for statement, verdict in zip(pool, verdicts(premises, count, pool)) if verdict != "true"]
        assert verdicts(premises, count, [right]) == ["true"], (premises, right)
        near = [statement for statement in open_ones if set(statement[1:]) == set(ends)]
        wrong = rng.sample(near, 2) + rng.sample(open_ones, 1)
        # "No x is y" says the same as "no y is x", and so does some: no two options may mean the same.
        if len({(kind, frozenset((x, y)) if kind in ("no", "some") else (x, y)) for kind, x, y in wrong}) < 3:
            return None
        zh_words, en_words, zh, en = setting(rng, world, premises, count)
        options = [say(world, statement, zh_words, en_words) for statement in [right, *wrong]]
        return choice("entailed", (*premises, right, *zh_words), zh + "根据以上信息，下面哪句话一定正确？",
                      en + " Going by this information, which statement must be true?", options)
    return recipe


# A conditional: the rule, then its first part true and false and its second part true and false.
CONDITIONALS = [
    (("只要开关开着，风扇就会转", "whenever the switch is on, the fan turns"),
     ("现在开关开着", "the switch is on now"), ("现在开关关着", "the switch is off now"),
     ("现在风扇在转", "the fan is turning now"), ("现在风扇没有转", "the fan is not turning now")),
    (("只要有陌生人进院子，小狗就会叫", "whenever a stranger enters the yard, the dog barks"),
     ("昨晚有陌生人进了院子", "a stranger entered the yard last night"), ("昨晚没有陌生人进院子", "no stranger entered the yard last night"),
     ("昨晚小狗叫了", "the dog barked last night"), ("昨晚小狗没有叫", "the dog did not bark last night")),
    (("每逢节假日，这家书店都会打折", "on every public holiday, this bookstore gives a discount"),
     ("今天是节假日", "today is a public holiday"), ("今天不是节假日", "today is not a public holiday"),
     ("今天这家书店打折", "the bookstore is giving a discount today"), ("今天这家书店没有打折", "the bookstore is not giving a discount today")),
]


def conditional(index, surface, fact, claim, expected):
    """fact and claim: 0 and 1 for the first part true and false, 2 and 3 for the second."""
    def recipe(rng):
        worlds = [(p, q) for p in (True, False) for q in (True, False) if q or not p]
        value = lambda part, world: world[part // 2] == (part % 2 == 0)
        values = {value(claim, world) for world in worlds if value(fact, world)}
        verdict = "unsure" if len(values) == 2 else "true" if values == {True} else "false"
        assert verdict == expected, (index, fact, claim)
        (rule_zh, rule_en), *parts = CONDITIONALS[index]
        ask_zh, ask_en = ASK_TRUTH[surface]
        return choice("conditional", (index, fact, claim), f"{rule_zh}。{parts[fact][0]}。{ask_zh.format(parts[claim][0])}",
                      f"{sentence(rule_en)}. {sentence(parts[fact][1])}. {ask_en.format(parts[claim][1] if surface == 0 else sentence(parts[claim][1]))}", truth_options(verdict))
    return recipe


def chain(rng):
    pzh, pen = rng.pick(PEOPLE)
    parts = [  # (as a condition), (happened), (did not happen)
        ((f"{pzh}头天晚上熬夜", f"{pen} stays up late"), (f"昨晚{pzh}熬夜了", f"{pen} stayed up late last night"),
         (f"昨晚{pzh}没有熬夜", f"{pen} did not stay up late last night")),
        (None, (f"今天早上{pzh}起晚了", f"{pen} got up late this morning"), (f"今天早上{pzh}没有起晚", f"{pen} did not get up late this morning")),
        (None, (f"今天早上{pzh}错过了校车", f"{pen} missed the school bus this morning"), None),
    ]
    worlds = [world for world in itertools.product((True, False), repeat=3) if (world[1] or not world[0]) and (world[2] or not world[1])]
    possible = [world for world in worlds if not world[2]]
    assert all(not world[0] and not world[1] for world in possible)
    zh = (f"如果{pzh}头天晚上熬夜，第二天早上就会起晚；如果早上起晚了，就会错过校车。今天早上{pzh}没有错过校车。根据以上信息，下面哪句话一定正确？")
    en = (f"If {pen} stays up late, {pen} gets up late the next morning. Whenever {pen} gets up late, {pen} misses the school bus. "
          f"This morning {pen} did not miss the school bus. Going by this information, which statement must be true?")
    return choice("chain", (pzh,), zh, en, [parts[0][2], parts[0][1], parts[1][1], (f"今天{pzh}没有坐校车", f"{pen} did not take the school bus today")])


SYLLOGISM = [
    # easy
    judge(Creatures, 0, [("all", 0, 1), ("all", 1, 2)], ("all", 0, 2), "true"),
    judge(Students, 1, [("all", 0, 1), ("no", 1, 2)], ("some", 0, 2), "false"),
    judge(Warehouse, 2, [("all", 0, 1), ("is-not", None, 1)], ("is", None, 0), "false", 2),
    judge(Creatures, 1, [("all", 0, 1), ("is", None, 1)], ("is", None, 0), "unsure", 2),
    entailed(Students, [("all", 0, 1), ("all", 1, 2)], ("all", 0, 2)),
    entailed(Warehouse, [("all", 0, 1), ("no", 1, 2)], ("no", 0, 2)),
    conditional(0, 0, 0, 2, "true"),
    # medium
    judge(Warehouse, 0, [("some", 0, 1), ("all", 1, 2)], ("some", 0, 2), "true"),
    judge(Students, 2, [("all", 0, 1), ("some", 1, 2)], ("some", 0, 2), "unsure"),
    judge(Creatures, 2, [("no", 0, 1), ("all", 2, 1)], ("some", 2, 0), "false"),
    entailed(Creatures, [("some", 0, 1), ("all", 1, 2)], ("some", 2, 0)),
    entailed(Students, [("no", 0, 1), ("all", 2, 1)], ("no", 2, 0)),
    conditional(1, 2, 2, 0, "unsure"),
    conditional(2, 0, 1, 2, "unsure"),
    # hard
    judge(Creatures, 0, [("all", 1, 0), ("all", 1, 2)], ("some", 0, 2), "true"),
    judge(Students, 2, [("all", 0, 1), ("no", 1, 2), ("all", 3, 2)], ("some", 3, 0), "false", 4),
    judge(Warehouse, 1, [("all", 0, 1), ("some-not", 1, 2)], ("some-not", 0, 2), "unsure"),
    entailed(Warehouse, [("some-not", 0, 1), ("all", 2, 1)], ("some-not", 0, 2)),
    entailed(Creatures, [("all", 0, 1), ("all", 1, 2), ("no", 2, 3)], ("no", 3, 0), 4),
    chain,
]


# --- ordering -----------------------------------------------------------------------------------------------------------

# Things that differ in one quantity. more and less: what is said of two; distinct: that no two are equal; *_ask: for the top,
# second, third and bottom one.
Contest = namedtuple("Contest", "name who more less distinct zh_ask en_ask")

COLORS = [("红", "red"), ("蓝", "blue"), ("绿", "green"), ("黄", "yellow"), ("白", "white"), ("黑", "black")]
GOODS = [("台灯", "the lamp"), ("书包", "the school bag"), ("闹钟", "the alarm clock"), ("雨伞", "the umbrella"), ("水壶", "the kettle")]


def asks(template, words):
    return [template.format(word) for word in words]


HEIGHT = Contest("height", PEOPLE, ("{a}比{b}高", "{a} is taller than {b}"), ("{a}比{b}矮", "{a} is shorter than {b}"),
                 ("身高各不相同", "All heights differ"),
                 asks("{{n}}个人中谁{}？", ["最高", "第二高", "第三高", "最矮"]),
                 asks("Who is the {} of the {{n}}?", ["tallest", "second tallest", "third tallest", "shortest"]))
AGE = Contest("age", PEOPLE, ("{a}的年龄比{b}大", "{a} is older than {b}"), ("{a}的年龄比{b}小", "{a} is younger than {b}"),
              ("年龄各不相同", "All ages differ"),
              asks("{{n}}个人中谁的年龄{}？", ["最大", "第二大", "第三大", "最小"]),
              asks("Who is the {} of the {{n}}?", ["oldest", "second oldest", "third oldest", "youngest"]))
RACE = Contest("race", PEOPLE, ("{a}比{b}先到终点", "{a} finished before {b}"), ("{a}比{b}后到终点", "{a} finished after {b}"),
               ("到达终点的时间各不相同", "There were no ties"),
               asks("{{n}}个人中{}到终点的是谁？", ["第一个", "第二个", "第三个", "最后一个"]),
               asks("Who finished {} of the {{n}}?", ["first", "second", "third", "last"]))
WEIGHT = Contest("weight", [(zh + "箱子", f"the {en} box") for zh, en in COLORS], ("{a}比{b}重", "{a} is heavier than {b}"),
                 ("{a}比{b}轻", "{a} is lighter than {b}"),
                 ("重量各不相同", "All weights differ"), asks("{{n}}个箱子中哪个{}？", ["最重", "第二重", "第三重", "最轻"]),
                 asks("Which of the {{n}} boxes is the {}?", ["heaviest", "second heaviest", "third heaviest", "lightest"]))
PRICE = Contest("price", GOODS, ("{a}比{b}贵", "{a} costs more than {b}"), ("{a}比{b}便宜", "{a} costs less than {b}"),
                ("价格各不相同", "All prices differ"),
                asks("{{n}}样东西中哪样{}？", ["最贵", "第二贵", "第三贵", "最便宜"]),
                asks("Which of the {{n}} things {}?", ["costs the most", "costs the second most", "costs the third most", "costs the least"]))
LENGTH = Contest("length", [(zh + "绳", f"the {en} rope") for zh, en in COLORS], ("{a}比{b}长", "{a} is longer than {b}"),
                 ("{a}比{b}短", "{a} is shorter than {b}"),
                 ("长度各不相同", "All lengths differ"), asks("{{n}}根绳子中哪根{}？", ["最长", "第二长", "第三长", "最短"]),
                 asks("Which of the {{n}} ropes is the {}?", ["longest", "second longest", "third longest", "shortest"]))


def compared(contest, count, rank, open_end=False, with_unsure=False):
    """Comparisons in a chain, or in a tree that leaves the asked rank open. rank 0 to 2 from the top, -1 for the bottom."""
    def recipe(rng):
        who = rng.sample(contest.who, count)  # from the top
        if open_end:
            pairs = [tuple(rng.shuffled((rng.below(index), index))) for index in range(1, count)]
        else:
            pairs = [(index, index + 1) for index in range(count - 1)]
        possible = {order[rank] for order in itertools.permutations(range(count))
                    if all(order.index(high) < order.index(low) for high, low in pairs)}
        if open_end != (len(possible) > 1):
            return None
        zh, en = [], []
        for high, low in rng.shuffled(pairs):
            first, second, (zh_say, en_say) = (high, low, contest.more) if rng.below(2) else (low, high, contest.less)
            zh.append(zh_say.format(a=who[first][0], b=who[second][0]))
            en.append(sentence(en_say.format(a=who[first][1], b=who[second][1])))
        zh_ask, en_ask = contest.zh_ask[rank].format(n=ZH_COUNT[count]), contest.en_ask[rank].format(n=EN_COUNT[count])
        if open_end:
            right = UNSURE
            others = rng.sample([index for index in range(count) if index not in possible], max(0, 3 - len(possible)))
            wrong = [who[index] for index in rng.sample(sorted(possible), min(3, len(possible))) + others]
        else:
            [index] = possible
            right = who[index]
            wrong = [person for person in who if person != right]
            wrong = [*rng.sample(wrong, 2), UNSURE] if with_unsure or count == 3 else rng.sample(wrong, 3)
        options = [right, *wrong]
        if contest.who is not PEOPLE:
            options = [(zh_name, sentence(en_name)) for zh_name, en_name in options]
        zh_text = f"{'，'.join(zh)}，{contest.distinct[0]}。{zh_ask}"
        en_text = f"{'. '.join(en)}. {contest.distinct[1]}. {en_ask}"
        return choice(f"compared-{contest.name}", (rank, *zh), zh_text, en_text, options)
    return recipe


# Five places in a row. Clues: at (a, k), not-at (a, k), inner (a), next (a is one place after b), before (a, b), gap (a, (b, n)).
Line = namedtuple("Line", "intro clues ask")
LINES = {
    "queue": Line(("{}五个人排成一队。", "Five people, {}, stand in a line."), {
        "at": ("{a}从前面数排在第{k}个", "{a} is number {k} from the front"),
        "not-at": ("{a}从前面数不是第{k}个", "{a} is not number {k} from the front"),
        "inner": ("{a}既不在最前面，也不在最后面", "{a} is neither first nor last"),
        "next": ("{a}紧跟在{b}的后面", "{a} is directly behind {b}"),
        "before": ("{a}排在{b}的前面（不一定相邻）", "{a} is somewhere ahead of {b}"),
        "gap": ("{a}和{b}之间恰好隔着{zh}个人", "{between} between {a} and {b}"),
    }, ("从前面数排在第{k}个的是谁？", "Who is number {k} from the front?")),
    "seats": Line(("{}五个人坐成一排，座位从左到右依次是1号到5号。", "Five people, {}, sit in a row of seats numbered 1 to 5 from left to right."), {
        "at": ("{a}坐在{k}号座位", "{a} is in seat {k}"),
        "not-at": ("{a}不在{k}号座位", "{a} is not in seat {k}"),
        "inner": ("{a}不坐在两端", "{a} is not at either end"),
        "next": ("{a}的座位号恰好比{b}的大1", "{a}'s seat number is exactly 1 higher than {b}'s"),
        "before": ("{a}的座位号比{b}的小", "{a}'s seat number is lower than {b}'s"),
        "gap": ("{a}和{b}之间恰好隔着{zh}个人", "{between} between {a} and {b}"),
    }, ("坐在{k}号座位的是谁？", "Who is in seat {k}?")),
    "floors": Line(("一栋五层小楼每层住着一个人，他们是{}。", "A building has five floors, numbered 1 to 5 from bottom to top, and one person lives on each floor: {}."), {
        "at": ("{a}住在{k}楼", "{a} lives on floor {k}"),
        "not-at": ("{a}不住在{k}楼", "{a} does not live on floor {k}"),
        "inner": ("{a}既不住在顶层，也不住在底层", "{a} lives on neither the top floor nor the bottom floor"),
        "next": ("{a}住的楼层恰好比{b}高一层", "{a} lives exactly one floor above {b}"),
        "before": ("{a}住的楼层比{b}低", "{a} lives on a lower floor than {b}"),
        "gap": ("{a}和{b}的楼层之间恰好住着{zh}个人", "{living} between {a} and {b}"),
    }, ("住在{k}楼的是谁？", "Who lives on floor {k}?")),
}


def clue_holds(clue, order):
    kind, a, b = clue
    at = order.index(a)
    if kind in ("at", "not-at"):
        return (at == b) == (kind == "at")
    if kind == "inner":
        return 0 < at < 4
    other = order.index(b if kind != "gap" else b[0])
    return {"next": at == other + 1, "before": at < other, "gap": kind == "gap" and abs(at - other) - 1 == b[1]}[kind]


def placed(name):
    """Clues over five places that leave one order, none of them idle."""
    def recipe(rng):
        line = LINES[name]
        who = rng.sample(PEOPLE, 5)
        truth = tuple(rng.shuffled(range(5)))
        orders = list(itertools.permutations(range(5)))
        pool = [("at", a, k) for a in range(5) for k in range(5)] + [("not-at", a, k) for a in range(5) for k in range(5)]
        pool += [("inner", a, None) for a in range(5)]
        pool += [(kind, a, b) for kind in ("next", "before") for a, b in itertools.permutations(range(5), 2)]
        pool += [("gap", a, (b, gap)) for a, b in itertools.combinations(range(5), 2) for gap in (1, 2)]
        chosen = []
        left = lambda clues: [order for order in orders if all(clue_holds(clue, order) for clue in clues)]
        for clue in rng.shuffled([clue for clue in pool if clue_holds(clue, truth)]):
            kinds = [kind for kind, _, _ in chosen]
            if kinds.count(clue[0]) < (1 if clue[0] in ("at", "not-at", "inner") else 2) and len(left([*chosen, clue])) < len(left(chosen)):
                chosen.append(clue)
        for clue in list(chosen):
            rest = [other for other in chosen if other is not clue]
            if len(left(rest)) == 1:
                chosen = rest
        fixed = [a for kind, a, _ in chosen if kind == "at"]
        asked = rng.pick([place for place in range(5) if truth[place] not in fixed])
        if left(chosen) != [truth] or len(chosen) not in (4, 5) or len({kind for kind, _, _ in chosen}) < 3:
            return None
        said = []
        for kind, a, b in chosen:
            b, gap = b if kind == "gap" else (b, 1)
            fill = {"k": b + 1 if kind in ("at", "not-at") else None, "zh": ZH_COUNT[gap],
                    "between": "There is exactly one person" if gap == 1 else "There are exactly two people",
                    "living": "Exactly one person lives" if gap == 1 else "Exactly two people live"}
            other = who[b] if kind in ("next", "before", "gap") else ("", "")
            said.append([line.clues[kind][lang].format(a=who[a][lang], b=other[lang], **fill) for lang in (0, 1)])
        zh = line.intro[0].format(joined([person[0] for person in who], "zh")) + "。".join(text for text, _ in said) + "。"
        en = line.intro[1].format(joined([person[1] for person in who], "en")) + " " + ". ".join(text for _, text in said) + "."
        right = truth[asked]
        options = [who[index] for index in [right, *rng.sample([index for index in range(5) if index != right], 3)]]
        return choice(f"placed-{name}", (asked, *chosen), zh + line.ask[0].format(k=asked + 1), f"{en} {line.ask[1].format(k=asked + 1)}", options)
    return recipe


MEASURES = {
    "age": (PEOPLE, ("{a}比{b}大{d}岁", "{a} is {d} years older than {b}"), ("{a}比{b}小{d}岁", "{a} is {d} years younger than {b}"),
            ("{n}个人中，年龄最大的比最小的大多少岁？", "How many years older is the oldest of the {n} than the youngest?"),
            ("{a}今年{v}岁", "{a} is {v} years old"), ("{n}个人中年龄最小的是多少岁？", "How old, in years, is the youngest of the {n}?"), (2, 8)),
    "height": (PEOPLE, ("{a}比{b}高{d}厘米", "{a} is {d} centimeters taller than {b}"), ("{a}比{b}矮{d}厘米", "{a} is {d} centimeters shorter than {b}"),
               ("{n}个人中，最高的比最矮的高多少厘米？", "By how many centimeters is the tallest of the {n} taller than the shortest?"),
               ("{a}身高{v}厘米", "{a} is {v} centimeters tall"), ("{n}个人中最矮的身高是多少厘米？", "What is the height in centimeters of the shortest of the {n}?"), (2, 12)),
    "price": (GOODS, ("{a}比{b}贵{d}元", "{a} costs {d} dollars more than {b}"), ("{a}比{b}便宜{d}元", "{a} costs {d} dollars less than {b}"),
              ("{n}样东西中，最贵的比最便宜的贵多少元？", "How many dollars more does the most expensive of the {n} things cost than the cheapest?"),
              ("{a}的价格是{v}元", "{a} costs {v} dollars"), ("{n}样东西中最便宜的多少元？", "What is the price in dollars of the cheapest of the {n} things?"), (3, 20)),
}


def measured(name, count, value=False):
    """Differences in a tree; asks for the widest difference, or for the smallest value when one is given."""
    def recipe(rng):
        pool, more, less, ask_span, given, ask_value, (low, high) = MEASURES[name]
        who = rng.sample(pool, count)
        offsets, clues = [0], []
        for index in range(1, count):
            base, gap = rng.below(index), rng.between(low, high)
            up = rng.below(2)
            offsets.append(offsets[base] + (gap if up else -gap))
            clues.append((index, base, gap, more if up else less))
        span = max(offsets) - min(offsets)
        if len(set(offsets)) < count or (count == 4 and span == sum(gap for _, _, gap, _ in clues)) or (value and offsets[0] == min(offsets)):
            return None
        zh = [say[0].format(a=who[a][0], b=who[b][0], d=gap) for a, b, gap, say in clues]
        en = [sentence(say[1].format(a=who[a][1], b=who[b][1], d=gap)) for a, b, gap, say in clues]
        numbers = [part for a, b, gap, say in clues for part in (a, b, gap, say[0])]
        answer, ask = span, ask_span
        if value:
            start = {"age": 30, "height": 150, "price": 60}[name] + rng.below(15)
            zh.append(given[0].format(a=who[0][0], v=start))
            en.append(sentence(given[1].format(a=who[0][1], v=start)))
            answer, ask = start + min(offsets), ask_value
            numbers.append(start)
        return number(f"measured-{name}-{value}", numbers, "，".join(zh) + "。" + ask[0].format(n=ZH_COUNT[count]),
                      ". ".join(en) + ". " + ask[1].format(n=EN_COUNT[count]), answer)
    return recipe


def around(rng):
    (zh_name, en_name), ahead, behind = rng.pick(PEOPLE), rng.between(3, 12), rng.between(3, 12)
    return number("around", (ahead, behind), f"{zh_name}在排队买票，前面有{ahead}个人，后面有{behind}个人。连{zh_name}在内，这一队一共有多少人？",
                  f"{en_name} is in a line for tickets, with {ahead} people ahead and {behind} people behind. How many people are in the line altogether, {en_name} included?",
                  ahead + behind + 1)


def behind(rng):
    (zh_name, en_name), total, place = rng.pick(PEOPLE), rng.between(18, 30), rng.between(5, 14)
    return number("behind", (total, place), f"{total}名学生排成一列去操场，从前往后数，{zh_name}是第{place}个。{zh_name}后面有多少名学生？",
                  f"A class of {total} students walks to the playground in single file. Counting from the front, {en_name} is number {place}. How many students are behind {en_name}?",
                  total - place)


def between_two(rng):
    (azh, aen), (bzh, ben) = rng.sample(PEOPLE, 2)
    total, front, back = rng.between(20, 32), rng.between(4, 8), rng.between(4, 8)
    return number("between-two", (total, front, back),
                  f"{total}个人排成一队。{azh}从前面数是第{front}个，{bzh}从后面数是第{back}个，{azh}在{bzh}前面。两人之间有多少个人？",
                  f"There are {total} people in a line. {aen} is number {front} from the front and {ben} is number {back} from the back, and {aen} is ahead of {ben}. How many people stand between the two?",
                  total - front - back)


def overtaking(rng):
    (zh_name, en_name), place, passed, lost = rng.pick(PEOPLE), rng.between(6, 11), rng.between(3, 5), rng.between(2, 4)
    if passed == lost:
        return None
    return number("overtaking", (place, passed, lost),
                  f"长跑比赛中，{zh_name}原来排在第{place}名，接着超过了{passed}个人，然后又被{lost}个人超过。{zh_name}现在排在第几名？",
                  f"In a long-distance race {en_name} is in place {place}, then passes {passed} runners, and after that is passed by {lost} runners. In what place is {en_name} now?",
                  place - passed + lost)


def weekday(surface):
    def recipe(rng):
        day = rng.below(7)
        if surface == 0:
            shift, ahead = 2, 0
            zh, en = f"昨天是{DAYS[day][0]}。明天是星期几？", f"Yesterday was {DAYS[day][1]}. What day of the week is tomorrow?"
        else:
            ahead = rng.pick([11, 12, 15, 16, 17, 18, 19])
            shift = 2 + ahead
            zh = f"前天是{DAYS[day][0]}。从今天算起，{ahead}天以后是星期几？（明天算1天以后）"
            en = f"The day before yesterday was {DAYS[day][1]}. What day of the week will it be {ahead} days from today? (Tomorrow is 1 day from today.)"
        right = DAYS[(day + shift) % 7]
        wrong = rng.sample([other for other in DAYS if other != right], 3)
        return choice(f"weekday-{surface}", (day, ahead), zh, en, [right, *wrong])
    return recipe


ORDERING = [
    # easy
    compared(AGE, 3, 0), compared(WEIGHT, 3, -1), compared(RACE, 3, 1), compared(PRICE, 3, 0), compared(LENGTH, 3, -1, open_end=True),
    weekday(0), around, behind, overtaking,
    # medium
    compared(HEIGHT, 4, 1, with_unsure=True), compared(RACE, 4, 2), compared(PRICE, 4, -1, with_unsure=True),
    compared(AGE, 4, 0, open_end=True), compared(LENGTH, 4, 1, with_unsure=True), weekday(1), between_two, measured("age", 3), measured("height", 3),
    # hard
    placed("queue"), placed("seats"), placed("floors"), placed("queue"), placed("seats"), compared(WEIGHT, 5, 2),
    measured("price", 4), measured("height", 4, value=True),
]


# --- word problems ------------------------------------------------------------------------------------------------------

def story(form, draw, zh, en, answer, accept=lambda **values: True):
    """draw: from the numbers by name; the two texts and the answer are functions of them. No answer for a draw that does not fit."""
    def recipe(rng):
        values = draw(rng)
        if not accept(**values):
            return None
        zh_name, en_name = rng.pick(PEOPLE)
        zh_other, en_other = rng.pick([person for person in PEOPLE if person[0] != zh_name])
        result = answer(**values)
        return number(form, values.values(), zh.format(p=zh_name, q=zh_other, **values), en.format(p=en_name, q=en_other, **values), result)
    return recipe


def ranges(**bounds):
    return lambda rng: {name: rng.between(*bound) for name, bound in bounds.items()}


def reach(low, high, step):
    return lambda rng: low + step * rng.below((high - low) // step + 1)


def drawn(**draws):
    return lambda rng: {name: draw(rng) for name, draw in draws.items()}


def with_sum(draws, **derived):
    """Adds numbers that are worked out from the drawn ones, for a story told backwards."""
    def draw(rng):
        values = draws(rng)
        hidden = {name: how(**values) for name, how in derived.items()}
        return {**values, **hidden}
    return draw


WORD_PROBLEM = [
    # easy: one step
    story("add", ranges(a=(24, 58), b=(13, 37)), "停车场里原来有{a}辆车，又开进来{b}辆，没有车开走。停车场里现在有多少辆车？",
          "There were {a} cars in a parking lot. Then {b} more drove in, and none left. How many cars are in the lot now?", lambda a, b: a + b),
    story("subtract", ranges(a=(120, 190), b=(35, 88)), "一本书一共{a}页，{p}已经看了{b}页。还有多少页没看？",
          "A book has {a} pages, and {p} has read {b} of them. How many pages are still unread?", lambda a, b: a - b),
    story("older", ranges(a=(7, 14), b=(3, 9)), "{p}今年{a}岁，姐姐比{p}大{b}岁。姐姐今年多少岁？",
          "{p} is {a} years old. {p}'s sister is {b} years older than {p}. How old is the sister, in years?", lambda a, b: a + b),
    story("multiply", ranges(a=(6, 12), b=(4, 9)), "一盒彩笔有{a}支，老师买了{b}盒。一共有多少支彩笔？",
          "A box holds {a} crayons, and a teacher buys {b} boxes. How many crayons are there in all?", lambda a, b: a * b, lambda a, b: a != b),
    story("divide", with_sum(ranges(k=(4, 9), each=(6, 14)), t=lambda k, each: k * each), "农场收了{t}个南瓜，平均装进{k}辆小车。每辆小车装多少个南瓜？",
          "A farm picks {t} pumpkins and loads the same number onto each of {k} carts. How many pumpkins are on each cart?", lambda k, each, t: t // k, lambda k, each, t: k != each),
    story("fare", ranges(a=(12, 25), b=(3, 6)), "一张船票{a}元，买{b}张同样的船票一共要多少元？",
          "A boat ticket costs {a} dollars. How many dollars do {b} of these tickets cost in total?", lambda a, b: a * b),
    story("weeks", ranges(w=(3, 9)), "{p}的暑期课程一共{w}个星期，每个星期上7天。课程一共上多少天？",
          "{p}'s summer course lasts {w} weeks, with class on all 7 days of each week. How many days of class are there?", lambda w: 7 * w),
    story("minutes", drawn(h=lambda rng: rng.between(2, 4), m=reach(10, 50, 5)), "一部纪录片长{h}小时{m}分钟，合多少分钟？",
          "A documentary lasts {h} hours and {m} minutes. How many minutes is that in all?", lambda h, m: 60 * h + m),
    story("meters", drawn(a=lambda rng: rng.between(2, 8), b=reach(15, 95, 5)), "一根水管长{a}米{b}厘米。1米等于100厘米，这根水管长多少厘米？",
          "A pipe is {a} meters and {b} centimeters long. One meter is 100 centimeters. How many centimeters long is the pipe?", lambda a, b: 100 * a + b),
    # medium: two steps
    story("shelf", ranges(a=(4, 7), b=(12, 25), c=(8, 30)), "书架有{a}层，每层放着{b}本书；桌上还有{c}本书。书架上和桌上一共有多少本书？",
          "A bookcase has {a} shelves with {b} books on each shelf, and {c} more books lie on the desk. How many books are on the shelves and the desk together?", lambda a, b, c: a * b + c),
    story("goal", drawn(a=reach(400, 900, 100), b=lambda rng: rng.between(4, 7), c=reach(5000, 9000, 1000)),
          "{p}的目标是一共跑{c}米，已经跑了{b}天，每天跑{a}米。离目标还差多少米？",
          "{p} wants to run {c} meters in total and has run {a} meters a day for {b} days. How many meters are left to reach the goal?",
          lambda a, b, c: c - a * b, lambda a, b, c: c - a * b > 500),
    story("crates", ranges(a=(12, 24), b=(5, 9), c=(20, 60)), "一箱矿泉水有{a}瓶，学校买了{b}箱，运动会上喝掉了{c}瓶。还剩多少瓶？",
          "A crate holds {a} bottles of water. A school buys {b} crates, and {c} bottles are drunk on sports day. How many bottles are left?", lambda a, b, c: a * b - c,
          lambda a, b, c: a * b - c > 10),
    story("change", drawn(a=lambda rng: rng.between(3, 6), p1=lambda rng: rng.between(6, 14), note=lambda rng: rng.pick([50, 100])),
          "{p}买了{a}条毛巾，每条{p1}元，付了{note}元。应找回多少元？", "{p} buys {a} towels at {p1} dollars each and pays {note} dollars. How many dollars of change should {p} get?",
          lambda a, p1, note: note - a * p1, lambda a, p1, note: 5 < note - a * p1 < 45),
    story("zoo", ranges(x=(2, 4), c=(3, 5), a=(20, 35), b=(8, 15)), "动物园的成人票每张{a}元，儿童票每张{b}元。{x}位大人带{c}个孩子去动物园，都买票，一共要多少元？",
          "A zoo ticket costs {a} dollars for an adult and {b} dollars for a child. How many dollars do tickets for {x} adults and {c} children cost in total?",
          lambda x, c, a, b: x * a + c * b, lambda x, c, a, b: x != c),
    story("beads", with_sum(ranges(k=(3, 7), each=(6, 13), l=(5, 15)), t=lambda k, each, l: k * each + l),
          "{p}有{t}张贴纸，自己留下{l}张，其余的平均分给{k}个朋友。每个朋友得到多少张？",
          "{p} has {t} stickers, keeps {l} and shares the rest equally among {k} friends. How many stickers does each friend get?", lambda k, each, l, t: (t - l) // k),
    story("ribbon", with_sum(ranges(k=(4, 8), each=(12, 25), l=(5, 11)), t=lambda k, each, l: k * each + l),
          "一条彩带长{t}厘米，剪下{k}段同样长的小段后，还剩{l}厘米。每个小段长多少厘米？",
          "A ribbon is {t} centimeters long. After {k} pieces of equal length are cut off, {l} centimeters remain. How many centimeters long is each piece?", lambda k, each, l, t: (t - l) // k),
    story("drive", drawn(v=reach(55, 90, 5), h=lambda rng: rng.between(3, 5), r=reach(40, 120, 10)),
          "一辆汽车每小时行驶{v}千米，开了{h}小时后，离目的地还有{r}千米。从出发地到目的地一共多少千米？",
          "A car travels {v} kilometers an hour. After {h} hours it is still {r} kilometers from its destination. How many kilometers long is the whole trip?", lambda v, h, r: v * h + r),
    story("printer", with_sum(ranges(v=(12, 30), m=(4, 9), w=(2, 5)), t=lambda v, m, w: v * m),
          "打印机开机预热要{w}分钟，然后每分钟打印{v}页。从开机到打印完{t}页一共要多少分钟？",
          "A printer warms up for {w} minutes and then prints {v} pages a minute. How many minutes does it take from switching it on until {t} pages are printed?", lambda v, m, w, t: w + t // v),
    story("tank", with_sum(ranges(v=(8, 20), m=(6, 14), s=(15, 60)), t=lambda v, m, s: v * m + s),
          "一个水箱能装{t}升水，现在里面已有{s}升。水龙头每分钟流出{v}升水，再过多少分钟能把水箱装满？",
          "A tank can hold {t} liters of water and already contains {s} liters. A tap adds {v} liters a minute. In how many minutes will the tank be full?", lambda v, m, s, t: (t - s) // v),
    # hard: three steps or an unknown
    story("stamps", with_sum(ranges(k=(3, 5), x=(12, 30)), t=lambda k, x: x * (k + 1)), "{p}和{q}一共有{t}枚邮票，{p}的邮票数是{q}的{k}倍。{p}比{q}多多少枚邮票？",
          "{p} and {q} have {t} stamps altogether, and {p} has {k} times as many as {q}. How many more stamps does {p} have than {q}?", lambda k, x, t: t // (k + 1) * (k - 1)),
    story("mother", with_sum(ranges(k=(3, 5), x=(7, 12)), d=lambda k, x: x * (k - 1)), "今年妈妈的年龄是{p}的{k}倍，妈妈比{p}大{d}岁。{p}今年多少岁？",
          "{p}'s mother is {k} times as old as {p}, and she is {d} years older than {p}. How old is {p}, in years?", lambda k, x, d: d // (k - 1), lambda k, x, d: 22 <= d <= 36),
    story("chase", with_sum(drawn(v=reach(50, 80, 5), more=reach(20, 100, 10), t=lambda rng: rng.between(4, 12)), w=lambda v, more, t: v + more),
          "{p}每分钟走{v}米，先出发{t}分钟；随后{q}骑车从同一地点沿同一条路去追，每分钟骑{w}米。{q}出发多少分钟后追上{p}？",
          "{p} sets off first and walks {v} meters a minute. After {t} minutes {q} sets off from the same place by bicycle and follows along the same road at {w} meters a minute. How many minutes does {q} ride before catching up with {p}?",
          lambda v, more, t, w: v * t // more, lambda v, more, t, w: v * t % more == 0 and v * t // more >= 3),
    story("machines", with_sum(ranges(a=(15, 40), b=(15, 40), s=(2, 4), m=(3, 7)), t=lambda a, b, s, m: a * s + (a + b) * m),
          "甲机器每小时加工{a}个零件，乙机器每小时加工{b}个零件。甲机器先单独工作{s}小时，然后两台机器一起工作，最后一共加工了{t}个零件。两台机器一起工作了多少小时？",
          "Machine A makes {a} parts an hour and machine B makes {b} parts an hour. Machine A first works alone for {s} hours, and then both work together until {t} parts are made in total. How many hours do both machines work together?",
          lambda a, b, s, m, t: (t - a * s) // (a + b), lambda a, b, s, m, t: a != b),
    story("sale", with_sum(drawn(z=lambda rng: rng.pick([7, 8, 9]), price=reach(60, 180, 10), n=lambda rng: rng.between(2, 4), c=reach(5, 20, 5)), off=lambda z, price, n, c: 100 - 10 * z),
          "一条裤子原价{price}元，打{z}折（即降价{off}%）出售，会员买每条再减{c}元。{p}是会员，买{n}条一共要付多少元？",
          "A pair of trousers normally costs {price} dollars. It is now sold at {off}% off, and members pay {c} dollars less on top of that for each pair. {p} is a member. How many dollars does {p} pay for {n} pairs?",
          lambda z, price, n, c, off: (price * z // 10 - c) * n),
    story("growth", drawn(base=reach(200, 800, 40), rate=lambda rng: rng.pick([5, 10, 15, 20, 25, 30]), r=lambda rng: rng.between(3, 9)),
          "一家餐馆上个月卖出{base}份套餐，这个月卖出的份数比上个月多{rate}%。每卖出一份套餐赚{r}元，这个月卖套餐一共赚了多少元？",
          "A restaurant sold {base} set meals last month and {rate}% more this month. It earns {r} dollars on each set meal. How many dollars did it earn on set meals this month?",
          lambda base, rate, r: base * (100 + rate) // 100 * r, lambda base, rate, r: base * rate % 100 == 0),
    story("wheels", with_sum(ranges(cars=(6, 20), bikes=(5, 16)), n=lambda cars, bikes: cars + bikes, w=lambda cars, bikes: 4 * cars + 2 * bikes),
          "车库里停着汽车和摩托车一共{n}辆，共有{w}个车轮。每辆汽车4个车轮，每辆摩托车2个车轮。汽车有多少辆？",
          "A garage holds {n} vehicles, all of them cars or motorcycles, with {w} wheels in total. Each car has 4 wheels and each motorcycle has 2. How many cars are there?",
          lambda cars, bikes, n, w: (w - 2 * n) // 2, lambda cars, bikes, n, w: cars != bikes),
    story("tickets", with_sum(ranges(adult=(18, 45), child=(15, 40), a=(12, 20), b=(5, 9)), n=lambda adult, child, a, b: adult + child, t=lambda adult, child, a, b: adult * a + child * b),
          "游乐园成人票每张{a}元，儿童票每张{b}元。一个上午共卖出{n}张票，收入{t}元。卖出成人票多少张？",
          "An amusement park charges {a} dollars for an adult ticket and {b} dollars for a child ticket. In one morning it sells {n} tickets for {t} dollars in total. How many adult tickets are sold?",
          lambda adult, child, a, b, n, t: (t - b * n) // (a - b), lambda adult, child, a, b, n, t: adult != child),
    story("average", with_sum(ranges(x=(9, 26), y=(9, 26), z=(9, 26), rest=(9, 26)), m=lambda x, y, z, rest: (x + y + z + rest) // 4),
          "四件行李平均重{m}千克，其中三件分别重{x}千克、{y}千克和{z}千克。第四件行李重多少千克？",
          "Four suitcases weigh {m} kilograms on average. Three of them weigh {x}, {y} and {z} kilograms. How many kilograms does the fourth suitcase weigh?",
          lambda x, y, z, rest, m: 4 * m - x - y - z, lambda x, y, z, rest, m: (x + y + z + rest) % 4 == 0 and len({x, y, z, rest, m}) == 5),
]


# --- set logic ----------------------------------------------------------------------------------------------------------

# Who and in what unit; the two groups; both, neither, at least one, exactly one.
TWO_SETS = [
    (("夏令营的学员", "人", "campers"), ("会游泳", "会骑自行车"), ("can swim", "can ride a bicycle"), ("两样都会", "两样都不会", "至少会一样", "恰好只会一样"),
     ("can do both", "can do neither", "can do at least one of the two", "can do exactly one of the two")),
    (("小区的住户", "户", "households"), ("养猫", "养狗"), ("keep a cat", "keep a dog"), ("猫和狗都养", "猫和狗都不养", "至少养其中一种", "恰好只养其中一种"),
     ("keep both", "keep neither", "keep a cat or a dog (or both)", "keep exactly one of the two kinds of pet")),
    (("小区的住户", "户", "households"), ("订了早报", "订了晚报"), ("take the morning paper", "take the evening paper"),
     ("两种报纸都订了", "两种报纸都没订", "至少订了一种报纸", "恰好只订了一种报纸"),
     ("take both papers", "take neither paper", "take at least one of the two papers", "take exactly one of the two papers")),
    (("旅行团的成员", "人", "people on a tour"), ("去过北京", "去过上海"), ("have been to Beijing", "have been to Shanghai"),
     ("两个城市都去过", "两个城市都没去过", "至少去过一个城市", "恰好只去过一个城市"),
     ("have been to both cities", "have been to neither city", "have been to at least one of the two cities", "have been to exactly one of the two cities")),
    (("乐团的成员", "人", "people in an orchestra"), ("会弹钢琴", "会拉小提琴"), ("play the piano", "play the violin"),
     ("两种乐器都会", "两种乐器都不会", "至少会一种乐器", "恰好只会一种乐器"),
     ("play both", "play neither", "play at least one of the two instruments", "play exactly one of the two instruments")),
]


def two_sets(topic, ask):
    """Two overlapping groups, told by three counts and asked for a fourth."""
    def recipe(rng):
        only_a, only_b, both, none = rng.between(5, 16), rng.between(5, 16), rng.between(3, 9), rng.between(2, 9)
        if only_a == only_b:
            return None
        a, b, total = only_a + both, only_b + both, only_a + only_b + both + none
        (zh_who, unit, en_who), zh_groups, en_groups, zh_how, en_how = TWO_SETS[topic]
        zh_each = f"{zh_groups[0]}的有{a}{unit}，{zh_groups[1]}的有{b}{unit}"
        en_each = f"{a} {en_groups[0]} and {b} {en_groups[1]}"
        zh_both = f"其中{zh_how[0]}的有{both}{unit}（这{both}{unit}在前面两个数里都算过）"
        en_both = f"Both numbers include the {both} who {en_how[0]}"
        zh_ask = lambda index: f"{zh_how[index]}的有多少{unit}？"
        if ask == "either":
            zh, en = f"调查{zh_who}：{zh_each}，{zh_both}。{zh_ask(2)}", f"Among some {en_who}, {en_each}. {en_both}. How many {en_how[2]}?"
            return number("two-either", (topic, a, b, both), zh, en, a + b - both)
        if ask == "both":
            zh = f"{zh_who}一共{total}{unit}，{zh_each}，{zh_how[1]}的有{none}{unit}。{zh_ask(0)}"
            en = f"Of {total} {en_who}, {en_each}, while {none} {en_how[1]}. How many {en_how[0]}?"
            return number("two-both", (topic, total, a, b, none), zh, en, both)
        if ask == "one":
            zh, en = f"调查{zh_who}：{zh_each}，{zh_both}。{zh_ask(3)}", f"Among some {en_who}, {en_each}. {en_both}. How many {en_how[3]}?"
            return number("two-one", (topic, a, b, both), zh, en, only_a + only_b)
        zh = f"{zh_who}一共{total}{unit}，{zh_each}，{zh_both}。{zh_ask(1)}"
        en = f"Of {total} {en_who}, {en_each}. {en_both}. How many {en_how[1]}?"
        return number("two-none", (topic, total, a, b, both), zh, en, none)
    return recipe


# Who; the three names; one group, two groups at once, all three, at least one, none.
THREE_SETS = [
    ("名学生", "students", ("语文班", "数学班", "英语班"), ("the reading course", "the math course", "the English course"),
     ("参加{0}的有{n}人", "同时参加{0}和{1}的有{n}人", "三个班都参加", "至少参加一个班", "三个班都没参加"),
     ("{n} take {0}", "{n} take both {0} and {1}", "take all three courses", "take at least one of the three courses", "take none of the three courses")),
    ("名顾客", "customers", ("茶", "咖啡", "果汁"), ("tea", "coffee", "juice"),
     ("喜欢{0}的有{n}人", "同时喜欢{0}和{1}的有{n}人", "三种饮料都喜欢", "至少喜欢一种饮料", "三种饮料都不喜欢"),
     ("{n} like {0}", "{n} like both {0} and {1}", "like all three drinks", "like at least one of the three drinks", "like none of the three drinks")),
    ("名队员", "club members", ("篮球", "足球", "排球"), ("basketball", "soccer", "volleyball"),
     ("喜欢看{0}的有{n}人", "同时喜欢看{0}和{1}的有{n}人", "三种球都喜欢看", "至少喜欢看一种球", "三种球都不喜欢看"),
     ("{n} enjoy watching {0}", "{n} enjoy both {0} and {1}", "enjoy all three sports", "enjoy at least one of the three sports", "enjoy none of the three sports")),
]


def three_sets(topic, ask):
    """Three overlapping groups, told by the sizes of their overlaps."""
    def recipe(rng):
        sizes = {key: rng.between(3, 11) for key in ("a", "b", "c")} | {key: rng.between(2, 6) for key in ("ab", "ac", "bc", "abc", "")}
        size = lambda *letters: sum(count for key, count in sizes.items() if all(letter in key for letter in letters))
        zh_who, en_who, zh_names, en_names, zh_say, en_say = THREE_SETS[topic]
        pairs = [(0, 1, size("a", "b")), (0, 2, size("a", "c")), (1, 2, size("b", "c"))]
        zh_told = "，".join(zh_say[0].format(name, n=size(letter)) for name, letter in zip(zh_names, "abc")) + "；"
        zh_told += "，".join(zh_say[1].format(zh_names[i], zh_names[j], n=n) for i, j, n in pairs)
        en_told = joined([en_say[0].format(name, n=size(letter)) for name, letter in zip(en_names, "abc")], "en") + "; "
        en_told += joined([en_say[1].format(en_names[i], en_names[j], n=n) for i, j, n in pairs], "en")
        all_three, total = size("a", "b", "c"), sum(sizes.values())
        listed = (topic, size("a"), size("b"), size("c"), *(n for _, _, n in pairs))
        if len({size("a"), size("b"), size("c")}) < 3:
            return None
        if ask == "all":
            zh = f"一共有{total - sizes['']}{zh_who}，每人都{zh_say[3]}。{zh_told}（这些数都包括{zh_say[2]}的人）。{zh_say[2]}的有多少人？"
            en = f"There are {total - sizes['']} {en_who}, and all of them {en_say[3]}. Of these, {en_told}. These numbers include those who {en_say[2]}. How many {en_say[2]}?"
            return number("three-all", (total - sizes[""], *listed), zh, en, all_three)
        zh_rest, en_rest = f"{zh_told}；{zh_say[2]}的有{all_three}人（前面的数都包括这{all_three}人）", f"{en_told}; {all_three} {en_say[2]}, and they are included in all the other numbers"
        if ask == "union":
            zh, en = f"调查一批{zh_who[1:]}：{zh_rest}。{zh_say[3]}的有多少人？", f"Among some {en_who}, {en_rest}. How many {en_say[3]}?"
            return number("three-union", (*listed, all_three), zh, en, total - sizes[""])
        zh, en = f"一共有{total}{zh_who}，{zh_rest}。{zh_say[4]}的有多少人？", f"Of {total} {en_who}, {en_rest}. How many {en_say[4]}?"
        return number("three-none", (total, *listed, all_three), zh, en, sizes[""])
    return recipe


def listed_sets(ask):
    def recipe(rng):
        (pzh, pen), (qzh, qen) = rng.sample(PEOPLE, 2)
        common = rng.between(2, 3)
        drawn_numbers = rng.sample(range(11, 60), 11 - common)
        shared, mine, yours = drawn_numbers[:common], drawn_numbers[common:6], drawn_numbers[6:]
        one, two = rng.shuffled(shared + mine), rng.shuffled(shared + yours)
        zh_one, zh_two = "、".join(map(str, one)), "、".join(map(str, two))
        en_one, en_two = (joined([str(n) for n in numbers], "en") for numbers in (one, two))
        if ask == "both":
            zh = f"{pzh}的彩票上有{zh_one}这几个数，{qzh}的彩票上有{zh_two}这几个数。两张彩票上都有的数有几个？"
            en = f"{pen}'s lottery ticket shows {en_one}. {qen}'s ticket shows {en_two}. How many numbers are on both tickets?"
            return number("listed-both", (*one, *two), zh, en, len(set(one) & set(two)))
        if ask == "first":
            zh = f"{pzh}去过编号为{zh_one}的展厅，{qzh}去过编号为{zh_two}的展厅。{pzh}去过而{qzh}没去过的展厅有几个？"
            en = f"{pen} has visited halls {en_one} of a museum. {qen} has visited halls {en_two}. How many halls has {pen} visited that {qen} has not?"
            return number("listed-first", (*one, *two), zh, en, len(set(one) - set(two)))
        zh = f"第一袋里的号码球是{zh_one}，第二袋里的号码球是{zh_two}。两袋合在一起，一共有几个不同的号码？"
        en = f"The numbered balls in the first bag are {en_one}. Those in the second bag are {en_two}. How many different numbers are there in the two bags together?"
        return number("listed-union", (*one, *two), zh, en, len(set(one) | set(two)))
    return recipe


def divisible(ask):
    def recipe(rng):
        top, (a, b) = rng.pick([60, 80, 90, 100, 120]), rng.pick([(2, 3), (3, 4), (2, 5), (3, 5), (4, 6), (4, 5), (6, 8), (6, 9)])
        hits = {
            "and": lambda n: n % a == 0 and n % b == 0,
            "or": lambda n: n % a == 0 or n % b == 0,
            "not": lambda n: n % a == 0 and n % b != 0,
        }[ask]
        zh_ask = {"and": f"既能被{a}整除又能被{b}整除的", "or": f"能被{a}整除或者能被{b}整除（同时能被两者整除的也算，只算一次）的",
                  "not": f"能被{a}整除但不能被{b}整除的"}[ask]
        en_ask = {"and": f"divisible by both {a} and {b}", "or": f"divisible by {a} or by {b} (or by both, counted once)",
                  "not": f"divisible by {a} but not by {b}"}[ask]
        return number(f"divisible-{ask}", (top, a, b), f"从1到{top}（包括1和{top}）的整数中，{zh_ask}有多少个？",
                      f"How many of the whole numbers from 1 to {top}, both included, are {en_ask}?", sum(map(hits, range(1, top + 1))))
    return recipe


def extreme(ask):
    """The least or greatest overlap that the counts allow."""
    def recipe(rng):
        total = rng.pick([40, 45, 50, 60])
        a, b, c = (rng.between(total * 6 // 10, total - 4) for _ in range(3))
        if len({a, b, c}) < 3:
            return None
        if ask == "both":
            zh = f"班里有{total}人，{a}人订了牛奶，{b}人订了酸奶。两样都订了的至少有多少人？"
            en = f"In a class of {total}, {a} order milk and {b} order yogurt. What is the smallest possible number who order both?"
            return number("extreme-both", (total, a, b), zh, en, max(0, a + b - total))
        if ask == "neither":
            zh = f"小区里有{total}户人家，{a}户有汽车，{b}户有自行车。汽车和自行车都没有的最多有多少户？"
            en = f"Of {total} households, {a} have a car and {b} have a bicycle. What is the largest possible number of households that have neither?"
            return number("extreme-neither", (total, a, b), zh, en, total - max(a, b))
        low = a + b + c - 2 * total
        zh = f"{total}名考生参加三场考试，第一场有{a}人及格，第二场有{b}人及格，第三场有{c}人及格。三场都及格的至少有多少人？"
        en = f"In a group of {total} candidates who take three tests, {a} pass the first, {b} pass the second and {c} pass the third. What is the smallest possible number who pass all three?"
        return number("extreme-three", (total, a, b, c), zh, en, low) if low >= 3 else None
    return recipe


def satisfies(surface):
    """One of four numbers meets all conditions; each other one fails exactly one of them, all different."""
    def recipe(rng):
        k, parity, limit = rng.pick([3, 5, 7]), rng.below(2), rng.between(20, 40)
        tests = [lambda n: n % k == 0, lambda n: n % 2 == parity, (lambda n: n > limit) if surface == 0 else (lambda n: n < limit)]
        failing = {index: [n for n in range(6, 70) if [test(n) for test in tests] == [place != index for place in range(3)]] for index in range(4)}
        if not all(failing.values()):
            return None
        right, *wrong = [rng.pick(failing[index]) for index in (3, 0, 1, 2)]
        zh_parity, en_parity = ("单数", "odd") if parity else ("双数", "even")
        if surface == 0:
            zh = f"下面哪个数既是{k}的倍数，又是{zh_parity}，而且比{limit}大？"
            en = f"Which of these numbers is a multiple of {k}, is {en_parity}, and is greater than {limit}?"
        else:
            zh = f"抽奖时，号码必须同时满足三个条件才能中奖：是{zh_parity}、小于{limit}、能被{k}整除。下面哪个号码中奖？"
            en = f"In a raffle a number wins only if it meets three conditions at once: it is {en_parity}, it is below {limit}, and it is divisible by {k}. Which of these numbers wins?"
        return choice(f"satisfies-{surface}", (k, parity, limit), zh, en, [(str(n), str(n)) for n in [right, *wrong]])
    return recipe


def volunteers(rng):
    limit = rng.between(15, 18)
    people = [(limit + shift, english, signs) for shift in (-2, -1, 0, 1, 2, 3) for english in (True, False) for signs in (True, False)]
    fits = lambda person: person[0] >= limit and (person[1] or person[2])
    right = rng.pick([person for person in people if fits(person) and person[1] != person[2]])
    young = rng.sample([person for person in people if person[0] < limit and (person[1] or person[2])], 2)
    silent = rng.pick([person for person in people if person[0] >= limit and not person[1] and not person[2]])
    if young[0][0] == young[1][0]:
        return None
    zh_say = lambda age, english, signs: f"{age}岁，{'会' if english else '不会'}英语，{'会' if signs else '不会'}手语"
    en_say = lambda age, english, signs: f"{age} years old, {'knows' if english else 'does not know'} English, {'knows' if signs else 'does not know'} sign language"
    zh = f"招募志愿者有两个条件：第一，年满{limit}岁；第二，会英语或者会手语（会其中一种就行，两种都会也行）。下面哪个人符合条件？"
    en = f"Volunteers must meet two conditions: first, be at least {limit} years old; second, know English or sign language (either one is enough, and both are fine). Which person qualifies?"
    return choice("volunteers", (limit, right, *young, silent), zh, en, [(zh_say(*person), en_say(*person)) for person in [right, *young, silent]])


def stamps(rng):
    colors = COLORS[:3]
    must = rng.below(3)
    others = [index for index in range(3) if index != must]
    name = lambda chosen, lang: {"zh": lambda: "只有" + colors[chosen[0]][0] + "章" if len(chosen) == 1 else "、".join(colors[i][0] + "章" for i in chosen),
                                 "en": lambda: "only " + colors[chosen[0]][1] if len(chosen) == 1 else joined([colors[i][1] for i in chosen], "en")}[lang]()
    right = tuple(sorted((must, rng.pick(others))))
    wrong = [tuple(others), (0, 1, 2), (must,)]
    meets = lambda chosen: len(chosen) == 2 and must in chosen
    assert meets(right) and not any(map(meets, wrong))
    zh = f"印章有红、蓝、绿三种颜色。要换一份小奖品，必须恰好集齐两枚颜色不同的印章，而且其中要有{colors[must][0]}章。下面哪一组印章能换小奖品？"
    en = f"Stamps come in red, blue and green. To get a small prize, a visitor must have exactly two stamps of different colors, one of which is {colors[must][1]}. Which set of stamps earns the small prize?"
    return choice("stamps", (must, right), zh, en, [(name(chosen, "zh"), name(chosen, "en")) for chosen in [right, *wrong]])


SET_LOGIC = [
    # easy
    two_sets(0, "either"), two_sets(1, "either"), listed_sets("both"), listed_sets("first"), listed_sets("union"), satisfies(0), satisfies(1),
    # medium
    two_sets(2, "both"), two_sets(3, "both"), two_sets(4, "one"), two_sets(3, "one"), two_sets(0, "none"), two_sets(2, "none"),
    divisible("and"), volunteers, stamps,
    # hard
    three_sets(0, "union"), three_sets(1, "none"), three_sets(2, "all"), divisible("or"), divisible("not"),
    extreme("both"), extreme("neither"), extreme("three"),
]

PLAN = [("induction", INDUCTION), ("syllogism", SYLLOGISM), ("ordering", ORDERING), ("sequence", SEQUENCE), ("word-problem", WORD_PROBLEM),
        ("set-logic", SET_LOGIC)]


# --- the files ----------------------------------------------------------------------------------------------------------

def drafts(taken):
    """(subject, draft) of every generated item, in order."""
    seen = set(taken)
    for subject, recipes in PLAN:
        for index, recipe in enumerate(recipes):
            rng = Rng(f"{subject}/{index}")
            for _ in range(20000):
                draft = recipe(rng)
                keys = {(draft.form, draft.numbers), draft.zh, draft.en} if draft else set()
                if draft and not keys & seen:
                    break
            else:
                sys.exit(f"{subject} {index}: no draw fits")
            seen |= keys
            yield subject, draft


def generated(taken):
    """The generated lines of both languages."""
    lines = {"zh": [], "en": []}
    rng = Rng("places")
    places = {}
    for index, (subject, draft) in enumerate(drafts(taken), FIRST):
        order = []
        if draft.options:
            count = len(draft.options)
            # Right options take every place in turn, in a new order each round.
            if not places.get(count):
                places[count] = rng.shuffled(range(count))
            gold = places[count].pop()
            order = rng.shuffled(range(1, count))
            order.insert(gold, 0)
        for lang, side in (("zh", 0), ("en", 1)):
            item = {"id": f"reason-{lang}-{index:03}", "cluster": f"rz-{index:03}", "lang": lang, "subject": subject, "style": "generated"}
            if draft.options:
                item |= {"grader": "choice", "prompt": draft[2 + side], "choices": [draft.options[place][side] for place in order], "gold": gold}
                assert len({text.lower() for text in item["choices"]}) == count, item
            else:
                item |= {"grader": "number", "prompt": draft[2 + side], "answers": [str(draft.answer)]}
            lines[lang].append(json.dumps(item, ensure_ascii=False))
    return lines


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    paths = {lang: HERE / f"reasoning-{lang}" / "items.jsonl" for lang in ("zh", "en")}
    texts = {lang: path.read_bytes().decode("utf-8") for lang, path in paths.items()}
    kept = {}
    for lang, text in texts.items():
        if not text.endswith("\n"):
            sys.exit(f"{paths[lang]}: the last line does not end")
        lines = text.split("\n")[:-1]
        made = ["style" in line and json.loads(line).get("style") == "generated" for line in lines]
        # The block stays where it is; at first it goes to the end.
        start = made.index(True) if True in made else len(lines)
        kept[lang] = (lines[:start], [line for line, is_made in zip(lines[start:], made[start:]) if not is_made])
    taken = [json.loads(line)["prompt"] for before, after in kept.values() for line in before + after]
    new = generated(taken)
    stale = []
    for lang, (before, after) in kept.items():
        whole = "\n".join([*before, *new[lang], *after]) + "\n"
        ids = [json.loads(line)["id"] for line in whole.splitlines()]
        if len(set(ids)) < len(ids):
            sys.exit(f"{paths[lang]}: an id is taken twice; generated ids begin at {FIRST}")
        if whole != texts[lang]:
            stale.append(str(paths[lang]))
            if "--check" not in sys.argv:
                paths[lang].write_bytes(whole.encode("utf-8"))
    if "--check" in sys.argv and stale:
        sys.exit(f"not what {Path(__file__).name} writes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
