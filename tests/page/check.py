"""Reads a report as a person would: filters, opens a flip, follows an anchor, goes back.

    python3 tests/page/check.py REPORT.html [--shots FOLDER]

The report is that of the run which tests/page/run.rs makes. Exit code 77: no browser.
"""

import argparse
import pathlib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from browser import Browser, find  # noqa: E402

COUNT = "document.getElementById('count').textContent"
ROWS = "document.querySelectorAll('#list tbody tr')"
NO_BROWSER = 77


def choose(browser, key, value):
    browser.run(f"(() => {{ const s = document.getElementById('filter-{key}'); s.value = {value!r}; s.dispatchEvent(new Event('change')); }})()")


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def filters(browser):
    total = browser.run("JSON.parse(document.getElementById('data').textContent).items.length")
    same(browser.run(COUNT), f"{total} of {total} items")
    choose(browser, "suite", "fact-qa")
    same(browser.run("location.hash"), "#items?suite=fact-qa")
    in_suite = int(browser.run(COUNT).split()[0])
    assert 0 < in_suite < total
    choose(browser, "flip", "harmful")
    choose(browser, "of", "1")
    harmful = int(browser.run(COUNT).split()[0])
    assert 0 < harmful < in_suite
    verdicts = browser.run(f"[...{ROWS}].map((row) => [row.cells[5].textContent, row.cells[6].textContent])")
    assert all("correct" in base and "correct" not in variant for base, variant in verdicts), verdicts
    choose(browser, "flip", "beneficial")
    assert int(browser.run(COUNT).split()[0]) < harmful
    browser.run("document.getElementById('clear').click()")
    same(browser.run(COUNT), f"{total} of {total} items")
    choose(browser, "v1", "truncated")
    assert browser.run(f"[...{ROWS}].every((row) => row.cells[6].textContent.includes('truncated'))")
    browser.run("document.getElementById('clear').click()")
    browser.run("(() => { const q = document.getElementById('filter-q'); q.value = '长城'; q.dispatchEvent(new Event('input')); })()")
    browser.wait(f"!{COUNT}.startsWith('{total} ')")
    assert int(browser.run(COUNT).split()[0]) > 0
    browser.run("document.getElementById('clear').click()")


def sorting(browser):
    header = "document.querySelector('#list th.col-lost')"
    browser.run(f"{header}.querySelector('button').click()")
    same(browser.run(f"{header}.getAttribute('aria-sort')"), "ascending")
    lost = browser.run(f"[...{ROWS}].map((row) => Number(row.lastChild.textContent) || 0)")
    same(lost, sorted(lost, reverse=True))
    browser.run("document.getElementById('clear').click()")


def reading(browser):
    choose(browser, "flip", "harmful")
    place = browser.run("(document.getElementById('items').scrollIntoView(), window.scrollY)")
    first, second = browser.run(f"[...{ROWS}].slice(0, 2).map((row) => row.querySelector('a').getAttribute('href'))")
    browser.run(f"{ROWS}[0].querySelector('a').click()")
    browser.wait("!document.getElementById('reader').hidden")
    same(browser.run("location.hash"), first)
    same(browser.run("document.querySelectorAll('.card').length"), 4)
    assert browser.run("document.querySelector('.card').textContent.includes('correct')")
    assert browser.run("document.activeElement.tagName === 'H1' && document.getElementById('report').hidden")
    browser.key("j")
    same(browser.run("location.hash"), second)
    browser.key("k")
    same(browser.run("location.hash"), first)
    browser.key("Escape")
    browser.wait("document.getElementById('reader').hidden")
    same(browser.run("location.hash"), "#items?flip=harmful")
    same(browser.run("document.activeElement.getAttribute('href')"), first)
    assert abs(browser.run("window.scrollY") - place) < 400
    # The list by keys, then back by the browser's own button.
    browser.key("j")
    browser.key("Enter")
    browser.wait("!document.getElementById('reader').hidden")
    same(browser.run("location.hash"), second)
    browser.run("history.back()")
    browser.wait("document.getElementById('reader').hidden")
    same(browser.run("location.hash"), "#items?flip=harmful")
    browser.run("document.getElementById('clear').click()")


def anchors(browser, url):
    # Chromium asks for nothing but the file, at any address of it.
    browser.open(f"{url}#item/fact-qa/fact-zh-01")
    browser.wait("!document.getElementById('reader').hidden")
    same(browser.run("document.querySelector('.question').lang"), "zh-Hans")
    browser.key("Escape")
    browser.wait("document.getElementById('reader').hidden")
    assert browser.run("document.activeElement.textContent") == "fact-zh-01"
    browser.open(f"{url}#item/fact-qa/none")
    assert "No such item" in browser.run("document.getElementById('reader').textContent")
    browser.open(f"{url}#items?suite=fact-qa&v1=wrong&nonsense=1")
    same(browser.run("document.getElementById('filter-v1').value"), "wrong")
    browser.open(f"{url}#item/%E0%A4%A")
    assert "No such item" in browser.run("document.getElementById('reader').textContent")


def hostile(browser, url):
    browser.open(f"{url}#item/fact-qa/{HOSTILE}")
    browser.wait("!document.getElementById('reader').hidden")
    text = browser.run("document.querySelectorAll('.card')[1].querySelector('pre').textContent")
    assert "</script><img src=x onerror=window.pwned=1>" in text and "\u241b" in text and "\u202e" not in text, text
    assert browser.run("window.pwned === undefined && !document.querySelector('main img')")


HOSTILE = "fact-%3Cb%3E%22'%26%2F"


def speed(browser, url):
    """Milliseconds from a filter to the list laid out anew, the slowest of a few."""
    browser.open(url)
    script = """(() => {
      const q = document.getElementById('filter-q'), suite = document.getElementById('filter-flip'), times = [];
      const timed = (act) => { const start = performance.now(); act(); document.body.offsetHeight; times.push(performance.now() - start); };
      for (const value of ['harmful', 'beneficial', '']) timed(() => { suite.value = value; suite.dispatchEvent(new Event('change')); });
      return Math.max(...times);
    })()"""
    return browser.run(script)


def pictures(browser, url, folder):
    folder.mkdir(parents=True, exist_ok=True)
    looks = [("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 400, "height": 850}), ("narrow-dark", {"width": 400, "height": 850, "dark": True})]
    for name, look in looks:
        browser.look(**look)
        browser.open(url)
        browser.shot(folder / f"{name}-top.png")
        for anchor in ["section-what-reproduced-and-what-did-not", "section-figures", "section-outcomes"]:
            browser.run(f"document.getElementById({anchor!r})?.scrollIntoView()")
            browser.shot(folder / f"{name}-{anchor}.png")
        browser.open(f"{url}#items?flip=any")
        browser.run("document.getElementById('items').scrollIntoView()")
        time.sleep(0.2)
        browser.shot(folder / f"{name}-items.png")
        item = browser.run(f"({ROWS}[2] || {ROWS}[0]).querySelector('a').getAttribute('href')")
        browser.open(f"{url}{item}")
        browser.shot(folder / f"{name}-item.png")
        zh = browser.run("document.getElementById('data').textContent.match(/[a-z]+-zh-[0-9]+/)?.[0]")
        browser.open(f"{url}#items?lang=zh")
        if zh:
            browser.run(f"{ROWS}[0].querySelector('a').click()")
            browser.wait("!document.getElementById('reader').hidden")
            browser.shot(folder / f"{name}-item-zh.png")
    browser.look(media="")
    browser.open(url)
    browser.pdf(folder / "print.pdf")
    browser.open(f"{url}{item}")
    browser.pdf(folder / "print-item.pdf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path, help="only take pictures, of any report, into this folder")
    arguments = parser.parse_args()
    program = find()
    if program is None:
        print("no chromium found: install it, or name one in BALLAST_CHROMIUM")
        return NO_BROWSER
    url = arguments.report.resolve().as_uri()
    with Browser(program) as browser:
        browser.look()
        if arguments.shots:
            pictures(browser, url, arguments.shots)
        else:
            browser.open(url)
            filters(browser)
            sorting(browser)
            reading(browser)
            anchors(browser, url)
            hostile(browser, url)
            print(f"slowest filter: {speed(browser, url):.0f} ms")
        assert not browser.complaints, browser.complaints
        foreign = [request for request in browser.requests if request.split("#")[0] != url and request != "about:blank"]
        assert not foreign, foreign
    return 0


if __name__ == "__main__":
    sys.exit(main())
