"use strict";
// The item browser. Everything from the data goes into the page as text, never as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const CHUNK = 60;
  const MARKS = { correct: "\u2713", wrong: "\u2717", unparsed: "?", truncated: "\u2702", error: "!" };
  const CORRECT = data.verdicts.indexOf("correct");
  const cells = data.cells.map(([name, seed], at) => {
    const several = data.cells.filter(([other]) => other === name).length > 1;
    return { at, name, seed, label: several ? `${name} s${seed}` : name };
  });
  const items = data.items.map(([suite, id, lang, subject, prompt, answers], at) =>
    ({ at, suite, id, lang, subject, prompt, answers, name: data.suites[suite], hash: null }));
  const byName = new Map();
  for (const item of items) {
    item.hash = `#item/${encodeURIComponent(item.name)}/${encodeURIComponent(item.id)}`;
    if (!byName.has(item.hash)) byName.set(item.hash, item);
  }

  // Elements.
  function el(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }
  // Control characters and marks that turn the direction of text are shown, not obeyed.
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;
  const shown = (text) => text.replace(/\r\n/g, "\n").replace(UNSEEN, (letter) => {
    const code = letter.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
  function language(text, asked) {
    if (/[\u3040-\u30ff]/.test(text)) return "ja";
    if (/[\uac00-\ud7af]/.test(text)) return "ko";
    return /[\u3400-\u9fff\uf900-\ufaff]/.test(text) ? "zh-Hans" : asked === "zh" && !/[a-z]/i.test(text) ? "zh-Hans" : "en";
  }
  const prose = (tag, attributes, text, asked) => el(tag, { dir: "auto", lang: language(text, asked), ...attributes }, shown(text));
  const verdictName = (answer) => (answer ? data.verdicts[answer[0]] || "n/a" : "not asked");
  const isRight = (answer) => Boolean(answer) && answer[0] === CORRECT;
  const verdict = (answer) => {
    const name = verdictName(answer);
    const mark = el("span", { class: "mark", "aria-hidden": "true" }, MARKS[name] || "\u2013");
    return el("span", { class: `verdict ${name.replace(" ", "-")}` }, mark, " ", name);
  };
  const extracted = (answer) => (Array.isArray(answer[4]) ? answer[3].slice(answer[4][0], answer[4][1]) : answer[4]);
  // -1 harmful, 1 beneficial, 0 none or not comparable.
  function flip(item, cell, reference) {
    const [before, after] = [item.answers[reference], item.answers[cell]];
    return before && after ? Number(isRight(after)) - Number(isRight(before)) : 0;
  }
  function flips(item, direction, reference, of) {
    return cells.some((cell) => {
      if (cell.at === reference || (of !== "" && cell.at !== Number(of))) return false;
      const found = flip(item, cell.at, reference);
      return direction === "any" ? found !== 0 : found === (direction === "harmful" ? -1 : 1);
    });
  }

  // The filter: what it holds is what the address says after "#items?".
  const EMPTY = { suite: "", lang: "", subject: "", flag: "", flip: "", ref: "0", of: "", q: "", sort: "", dir: "" };
  for (const cell of cells) EMPTY[`v${cell.at}`] = "";
  const filter = { ...EMPTY };
  const controls = {};
  const section = document.getElementById("items");
  const reader = document.getElementById("reader");
  const report = document.getElementById("report");
  const contents = document.getElementById("contents");
  const title = document.title;
  const folded = (text) => text.normalize("NFKC").toLowerCase();
  let matched = [];
  let drawn = 0;
  let lastOpen = null;
  let scrolled = 0;

  function select(key, label, options) {
    const control = el("select", { id: `filter-${key}`, onchange: () => { filter[key] = control.value; changed(); } },
      ...options.map(([value, text]) => el("option", { value }, text)));
    controls[key] = control;
    return el("label", { class: "field" }, el("span", {}, label), control);
  }
  const distinct = (values) => [...new Set(values)].sort((a, b) => (a < b ? -1 : 1));
  const each = (values) => [["", "all"], ...values.map((value) => [String(value), String(value)])];

  const search = el("input", { type: "search", id: "filter-q", placeholder: "in questions and answers", autocomplete: "off", spellcheck: "false",
    oninput: () => { filter.q = search.value; later(); } });
  controls.q = search;
  const status = el("p", { role: "status", "aria-live": "polite", id: "count" });
  const more = el("button", { type: "button", id: "more", onclick: () => draw() });
  const body = el("tbody");
  const columns = [
    { key: "item", label: "item", wide: 8.5, of: (item) => item.id },
    { key: "suite", label: "suite", wide: 7.5, of: (item) => item.suite },
    { key: "lang", label: "language", wide: 5.5, of: (item) => item.lang },
    { key: "subject", label: "subject", wide: 7, of: (item) => item.subject },
    { key: "prompt", label: "question", wide: null, of: (item) => item.prompt },
    ...cells.map((cell) => ({ key: `c${cell.at}`, label: cell.label, wide: 7.5, of: (item) => (item.answers[cell.at] ? item.answers[cell.at][0] : 99) })),
    { key: "lost", label: "lost by", wide: 4.8, of: (item) => -lost(item) },
  ];
  const lost = (item) => cells.filter((cell) => flip(item, cell.at, Number(filter.ref)) < 0).length;
  const headers = columns.map((column) => el("th", { scope: "col", class: `col-${column.key.replace(/\d+/, "")}` },
    el("button", { type: "button", onclick: () => sortBy(column.key) }, column.label, el("span", { class: "arrow", "aria-hidden": "true" }))));
  // Fixed widths: the browser need not look at every row to lay out one.
  const width = columns.reduce((sum, column) => sum + (column.wide ?? 11), 0);
  const table = el("table", { id: "list", style: `min-width: ${width}rem` },
    el("caption", { class: "unseen" }, "Items with the verdict of every model"),
    el("colgroup", {}, ...columns.map((column) => el("col", { class: `col-${column.key.replace(/\d+/, "")}`, style: column.wide && `width: ${column.wide}rem` }))),
    el("thead", {}, el("tr", {}, ...headers)), body);

  function build() {
    const readings = [["", "any"], ["right", "\u2713 correct"], ["not", "not correct"], ...data.verdicts.slice(1).map((name) => [name, `${MARKS[name] || ""} ${name}`])];
    section.append(
      el("p", {}, "Each question with the answers of all models side by side. A flip is harmful where the reference was right and the other is not, beneficial the other way round. Keys: j and k move, Enter opens, Esc closes, / searches."),
      el("form", { id: "filter", role: "search", "aria-label": "Filter the items", onsubmit: (event) => event.preventDefault() },
        el("label", { class: "field wide" }, el("span", {}, "text"), search),
        select("suite", "suite", each(data.suites)),
        select("lang", "language", each(distinct(items.map((item) => item.lang)))),
        select("subject", "subject", each(distinct(items.map((item) => item.subject)))),
        select("flag", "marked as", each(data.flags)),
        select("flip", "flips", [["", "all items"], ["any", "flips only"], ["harmful", "harmful flips"], ["beneficial", "beneficial flips"]]),
        select("ref", "against", cells.map((cell) => [String(cell.at), cell.label])),
        select("of", "flipped by", [["", "any"], ...cells.map((cell) => [String(cell.at), cell.label])]),
        ...cells.map((cell) => select(`v${cell.at}`, `${cell.label} is`, readings)),
        el("button", { type: "button", id: "clear", onclick: () => { Object.assign(filter, EMPTY); restore(); changed(); } }, "Show all")),
      status, el("div", { class: "scroll" }, table), more);
    new IntersectionObserver((seen) => { if (seen[0].isIntersecting && !report.hidden) draw(); }, { rootMargin: "400px" }).observe(more);
  }

  function matches(item) {
    if (filter.suite && item.name !== filter.suite) return false;
    if (filter.lang && item.lang !== filter.lang) return false;
    if (filter.subject && item.subject !== filter.subject) return false;
    for (const { at } of cells) {
      const wanted = filter[`v${at}`];
      if (!wanted) continue;
      const answer = item.answers[at];
      if (wanted === "right" ? !isRight(answer) : wanted === "not" ? !answer || isRight(answer) : verdictName(answer) !== wanted) return false;
    }
    if (filter.flag) {
      const flag = data.flags.indexOf(filter.flag);
      if (!item.answers.some((answer) => answer && answer[2].includes(flag))) return false;
    }
    if (filter.flip && !flips(item, filter.flip, Number(filter.ref), filter.of)) return false;
    if (filter.q) {
      item.text ??= folded([item.id, item.prompt, ...item.answers.map((answer) => (answer ? answer[3] : ""))].join("\n"));
      if (!item.text.includes(folded(filter.q))) return false;
    }
    return true;
  }

  function apply() {
    matched = items.filter(matches);
    const column = columns.find(({ key }) => key === filter.sort);
    if (column) {
      const sign = filter.dir === "desc" ? -1 : 1;
      const compare = (a, b) => (a < b ? -sign : a > b ? sign : 0);
      matched.sort((a, b) => compare(column.of(a), column.of(b)) || a.at - b.at);
    }
    columns.forEach((each, at) => {
      const sorted = each === column;
      headers[at].setAttribute("aria-sort", sorted ? (filter.dir === "desc" ? "descending" : "ascending") : "none");
    });
    status.textContent = `${matched.length} of ${items.length} items`;
    body.replaceChildren();
    drawn = 0;
    draw();
  }

  function draw() {
    const next = matched.slice(drawn, drawn + CHUNK);
    body.append(...next.map(row));
    drawn += next.length;
    const left = matched.length - drawn;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(CHUNK, left)} more`;
  }

  function row(item) {
    const reference = Number(filter.ref);
    const answers = cells.map(({ at }) => {
      const turned = filter.flip || at !== reference ? flip(item, at, reference) : 0;
      const note = turned === 0 ? null : el("span", { class: "flip", title: turned < 0 ? "harmful flip" : "beneficial flip" }, turned < 0 ? " \u2193" : " \u2191",
        el("span", { class: "unseen" }, turned < 0 ? " harmful flip" : " beneficial flip"));
      return el("td", { class: "col-c" }, verdict(item.answers[at]), note);
    });
    const question = item.prompt.length > 140 ? `${[...item.prompt].slice(0, 140).join("")} \u2026` : item.prompt;
    return el("tr", {},
      el("th", { scope: "row" }, el("a", { href: item.hash, onclick: () => { lastOpen = item; } }, shown(item.id))),
      el("td", {}, shown(item.name)), el("td", { class: "col-lang" }, item.lang), el("td", { class: "col-subject" }, shown(item.subject)),
      el("td", { class: "col-prompt" }, prose("span", { class: "line" }, question, item.lang)),
      ...answers, el("td", { class: "n col-lost" }, lost(item) || "\u2013"));
  }

  function sortBy(key) {
    if (filter.sort !== key) [filter.sort, filter.dir] = [key, ""];
    else if (filter.dir === "") filter.dir = "desc";
    else [filter.sort, filter.dir] = ["", ""];
    changed();
  }

  let waiting = 0;
  function later() {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(changed);
  }
  function address() {
    const set = Object.entries(filter).filter(([key, value]) => value !== EMPTY[key]);
    return set.length ? `#items?${new URLSearchParams(set)}` : "#items";
  }
  function changed() {
    history.replaceState(null, "", address());
    apply();
  }
  // Controls from the filter; what no control offers is no filter.
  function restore() {
    for (const [key, control] of Object.entries(controls)) {
      control.value = filter[key];
      if (control.value !== filter[key]) control.value = filter[key] = EMPTY[key];
    }
  }

  // One item.
  function open(item) {
    const at = matched.indexOf(item);
    const step = (by) => matched[at + by];
    const link = (other, label, key) => (other
      ? el("a", { class: "button", href: other.hash, "aria-keyshortcuts": key, onclick: (event) => { event.preventDefault(); go(other); } }, label)
      : el("span", { class: "button off", "aria-hidden": "true" }, label));
    const heading = el("h1", { tabindex: "-1" }, shown(item.id), el("small", {}, ` ${shown(item.name)}`));
    reader.replaceChildren(
      el("nav", { class: "steps", "aria-label": "Items" },
        el("a", { class: "button", href: address(), "aria-keyshortcuts": "Escape", onclick: (event) => { event.preventDefault(); close(); } }, "\u2190 All items"),
        link(at < 0 ? null : step(-1), "Previous", "k"), link(at < 0 ? null : step(1), "Next", "j"),
        el("span", { class: "place" }, at < 0 ? "not among the filtered items" : `${at + 1} of ${matched.length}`)),
      heading,
      el("p", { class: "meta" }, `Asked in ${item.lang === "zh" ? "Chinese" : "English"}; subject ${shown(item.subject)}.`),
      el("h2", {}, "Question"), prose("pre", { class: "question", tabindex: "0" }, item.prompt, item.lang),
      el("h2", {}, "Answers"), el("div", { class: "answers" }, ...cells.map((cell) => card(item, cell))));
    show(true);
    document.title = `${item.id} \u2013 ${title}`;
    heading.focus({ preventScroll: true });
    lastOpen = item;
  }

  function card(item, cell) {
    const answer = item.answers[cell.at];
    const reference = Number(filter.ref);
    const turned = cell.at === reference ? 0 : flip(item, cell.at, reference);
    const head = el("h3", {}, cell.label, " ", verdict(answer));
    if (!answer) return el("section", { class: "card" }, head, el("p", {}, "This item was not asked here."));
    const [, readings, flags, text, , why, tokens, thought] = answer;
    const read = extracted(answer);
    const facts = el("dl", {});
    const fact = (name, value) => { if (value) facts.append(el("dt", {}, name), value instanceof Node ? el("dd", {}, value) : el("dd", {}, value)); };
    if (turned !== 0) fact("flip", `${turned < 0 ? "\u2193 harmful" : "\u2191 beneficial"}, against ${cells[reference].label}`);
    fact("why", why ? prose("span", {}, why, item.lang) : null);
    if (read !== null && read !== text) fact("read as", prose("code", {}, read, item.lang));
    else if (read === null) fact("read as", "nothing");
    if (isRight(answer) !== Boolean(readings & 1) || isRight(answer) !== Boolean(readings & 2)) {
      fact("also", readings & 1 ? "right in the asked form" : readings & 2 ? (isRight(answer) ? "right, but not in the asked form" : "the right answer stands somewhere in the text") : null);
    }
    fact("marks", flags.length ? el("span", {}, ...flags.map((flag) => el("span", { class: "flag" }, data.flags[flag]))) : null);
    fact("tokens", tokens ? String(tokens) : null);
    fact("thought", thought ? el("details", {}, el("summary", {}, `${thought[1]} tokens before the answer`), prose("pre", { tabindex: "0" }, thought[0], item.lang)) : null);
    const empty = text.trim() === "";
    return el("section", { class: `card ${isRight(answer) ? "is-right" : "is-not"}`, "aria-label": cell.label }, head,
      empty ? el("p", { class: "nothing" }, "(nothing)") : prose("pre", { tabindex: "0" }, text, item.lang), facts);
  }

  function show(reading) {
    if (reading && !report.hidden) scrolled = window.scrollY;
    report.hidden = contents.hidden = reading;
    reader.hidden = !reading;
    if (reading) { window.scrollTo(0, 0); return; }
    document.title = title;
    reader.replaceChildren();
  }
  // From item to item without filling the history: back leads to the list.
  function go(item) {
    history.replaceState(null, "", item.hash);
    route();
  }
  function close() {
    if (opened > 0) { history.back(); return; }
    history.replaceState(null, "", address());
    route();
  }

  // How many steps of the history since the page was loaded lead here; 0 when a link led straight to an item.
  let opened = 0;
  function parse(hash) {
    Object.assign(filter, EMPTY);
    for (const [key, value] of new URLSearchParams(hash.slice("#items?".length))) {
      if (Object.hasOwn(EMPTY, key)) filter[key] = value;
    }
    restore();
    apply();
  }
  function route() {
    const hash = location.hash;
    if (hash.startsWith("#item/")) {
      const found = byName.get(hash) || byName.get(normal(hash));
      if (found) { open(found); return; }
      reader.replaceChildren(el("h1", {}, "No such item"), el("p", {}, "This report has no item at that address. "), el("p", {}, el("a", { href: "#items" }, "All items")));
      show(true);
      return;
    }
    const wasReading = report.hidden;
    if (hash.startsWith("#items?") && hash !== address()) parse(hash);
    show(false);
    if (wasReading) {
      const link = lastOpen && drawnRow(lastOpen);
      window.scrollTo(0, scrolled);
      if (link) { link.focus({ preventScroll: true }); link.scrollIntoView({ block: "nearest" }); }
      else if (hash.startsWith("#items")) section.scrollIntoView();
    } else if (hash.startsWith("#items?")) section.scrollIntoView();
  }
  function drawnRow(item) {
    const at = matched.indexOf(item);
    if (at < 0) return null;
    while (drawn <= at) draw();
    return body.rows[at].querySelector("a");
  }
  // The address as this page writes it, however it was typed.
  function normal(hash) {
    try {
      const [, suite, ...id] = hash.split("/");
      return `#item/${encodeURIComponent(decodeURIComponent(suite))}/${encodeURIComponent(decodeURIComponent(id.join("/")))}`;
    } catch { return hash; }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target instanceof Element && event.target.closest("input, select, textarea");
    if (typing) { if (event.key === "Escape") typing.blur(); return; }
    if (!reader.hidden) {
      const by = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
      const sideways = event.key.startsWith("Arrow") && event.target instanceof Element && event.target.closest("pre");
      if (by && !sideways) { const other = matched[matched.indexOf(lastOpen) + by]; if (other) go(other); }
      else if (event.key === "Escape") close();
      return;
    }
    if (event.key === "/") { event.preventDefault(); search.focus(); return; }
    const inList = body.contains(document.activeElement);
    const by = { j: 1, k: -1, ...(inList ? { ArrowDown: 1, ArrowUp: -1 } : {}) }[event.key];
    if (!by || !matched.length) return;
    event.preventDefault();
    const at = inList ? [...body.rows].indexOf(document.activeElement.closest("tr")) + by : 0;
    if (at >= drawn) draw();
    const next = body.rows[Math.max(0, Math.min(at, body.rows.length - 1))].querySelector("a");
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  });
  window.addEventListener("hashchange", () => { if (location.hash.startsWith("#item/")) opened += 1; else opened = 0; route(); });
  // A closed fold is lost on paper.
  let closed = [];
  window.addEventListener("beforeprint", () => { closed = [...document.querySelectorAll("details:not([open])")]; closed.forEach((fold) => { fold.open = true; }); });
  window.addEventListener("afterprint", () => closed.forEach((fold) => { fold.open = false; }));

  build();
  if (location.hash.startsWith("#items?")) parse(location.hash);
  else apply();
  if (location.hash.startsWith("#item")) route();
})();
