use super::*;
use crate::eval::score::identity::tests::terms;
use crate::eval::suite::parse_suite;
use crate::sandbox::CodeOutcome;

const SETTINGS: &str = "name = \"t\"\nversion = 1\ngrader = \"composite\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";

fn item(prompt: &str, explain: &str, own: &str) -> Item {
    let line = format!(
        r#"{{"id":"a","cluster":"c","lang":"en","subject":"s","prompt":"{prompt}","entry_point":"f","reference":"def f(): 1","tests":["f()"],"explain":{explain},"analogy":[{own}],"answer":"x"}}"#
    );
    parse_suite(SETTINGS, &line, "t").unwrap().items.remove(0)
}

fn recursion() -> Item {
    item("p", r#"[["itself"],["base case","stop"]]"#, r#""like""#)
}

fn graded(item: &Item, text: &str, outcome: CodeOutcome) -> Graded {
    let run = CodeRun { code: "def f(): 1".into(), outcome, detail: None };
    grade_composite(item, &Answer { text, truncated: false }, &terms(), Some(run))
}

fn levels(text: &str, outcome: CodeOutcome) -> (Verdict, bool, bool) {
    let graded = graded(&recursion(), text, outcome);
    (graded.verdict, graded.strict, graded.lenient)
}

#[test]
fn all_three_parts_are_needed() {
    let explained = "It is a function that calls itself until a base case.";
    let compared = "It is like mirrors that face each other.";
    let numbered = format!("1. {explained}\n2. {compared}\n3. Code:\n```python\ndef f(): 1\n```");
    assert_eq!(levels(&numbered, CodeOutcome::Passed), (Verdict::Correct, true, true));
    assert_eq!(levels(&numbered, CodeOutcome::Failed), (Verdict::Wrong, false, false));
    assert_eq!(levels(&numbered, CodeOutcome::Raised), (Verdict::Error, false, false));
    let headed = format!("### 1) Explanation\n{explained}\n\n**2) Analogy**\n{compared}\n### 3) Code\n");
    assert_eq!(levels(&headed, CodeOutcome::Passed), (Verdict::Correct, true, true));
    let headed = format!("### 1) Explanation\n{explained}\n\n### 2) Analogy\n{compared}\n### 3) Code\n");
    assert_eq!(levels(&headed, CodeOutcome::Passed), (Verdict::Correct, true, true));
    let plain = format!("{explained} {compared}");
    assert_eq!(levels(&plain, CodeOutcome::Passed), (Verdict::Correct, false, true));
    assert_eq!(levels(explained, CodeOutcome::Passed), (Verdict::Wrong, false, false));
    assert_eq!(levels(compared, CodeOutcome::Passed), (Verdict::Wrong, false, false));
    let scene = "If two people meet in a narrow doorway, each of them waits for the other.";
    let set = format!("1. {explained}\n2. {scene}\n3. Code:\n");
    assert_eq!(levels(&set, CodeOutcome::Passed), (Verdict::Correct, true, true));
    let called = format!(
        "### 1) Explanation\n{explained}\n\n### 2) Analogy\nTwo people meet in a narrow doorway and each of them waits.\n### 3) Code\n"
    );
    assert_eq!(levels(&called, CodeOutcome::Passed), (Verdict::Correct, true, true));
    let swapped = format!("1. {compared}\n2. {explained}\n3. Code:\n");
    assert_eq!(levels(&swapped, CodeOutcome::Passed), (Verdict::Wrong, false, true));
}

#[test]
fn words_that_are_no_sentences_explain_nothing() {
    for text in [
        "1. Here.\n2. Here.\n3.\n```python\n# like itself, base case\ndef f(): 1\n```",
        "Here. like itself base case",
        "1. itself base case stop\n2. like plates imagine\n3. Code:\n",
        "1. Itself, base case, stop, calls, recursion.\n2. Like, imagine, plates, book, mirror.\n3. Code:\n",
        "Recursion itself base case smaller until stop imagine like similar dolls plates mirrors box",
    ] {
        assert_eq!(levels(text, CodeOutcome::Passed).0, Verdict::Wrong, "{text}");
    }
    let zh = item("p", r#"[["自身"],["终止","更小"]]"#, r#""套娃""#);
    for text in [
        "1. 自身 更小 终止\n2. 像 套娃 盒子\n3. 代码\n",
        "1. 自身，更小，终止，调用，递归，函数，问题\n2. 像，套娃，镜子，盒子，楼梯\n3. 代码\n",
        "自身调用更小终止像套娃",
    ] {
        assert_eq!(graded(&zh, text, CodeOutcome::Passed).verdict, Verdict::Wrong, "{text}");
    }
    let right = "1. 递归就是函数调用自身，把问题变得更小，直到终止条件为止。\n2. 这就像俄罗斯套娃，打开一个里面还有一个。\n3. 代码\n";
    assert_eq!(graded(&zh, right, CodeOutcome::Passed).verdict, Verdict::Correct);
}

/// An analogy to a concept, and whether it is one.
#[test]
fn an_analogy_compares_with_everyday_life() {
    let cases = [
        ("what a stack is", "An everyday analogy for a stack is a stack of plates.", true),
        ("what a queue is", "An everyday analogy for a queue is a line of people waiting at a bakery.", true),
        ("what a queue is", "A good analogy of a queue would be a line of people.", true),
        ("how a hash map finds an entry", "A hash map is like a phone book.", true),
        ("how a hash map finds an entry", "An analogy for a hash map is a dictionary that you look words up in.", true),
        ("what recursion is", "**Analogy:** Unwrapping a present in which there is another box with a present.", true),
        ("what recursion is", "Picture a set of Russian dolls, each inside the next.", true),
        ("解释排序", "类比为“排序扑克牌”，把手里的牌一张一张地插到合适的位置。", true),
        ("解释二分查找", "一个生活化的类比是：在找一本字典时，每次都翻到中间的一页。", true),
        ("解释栈", "这就好比食堂里叠在一起的盘子，最后放上去的最先拿走。", true),
        ("how a hash map finds an entry", "A hash map is like a hash table.", false),
        ("what a cache is", "A cache is like a cache in a computer that is similar to memory.", false),
        ("what a stack is", "An everyday analogy for a stack is a stack.", false),
        ("what a stack is", "A stack is a data structure for plates.", false),
        ("what a queue is", "It is like a data structure in which elements are added.", false),
        ("解释缓存", "缓存就像计算机中的高速存储器一样，可以用来保存数据。", false),
    ];
    for (asked, analogy, expected) in cases {
        assert_eq!(compares(analogy, &[], asked, false), expected, "{analogy}");
    }
}

#[test]
fn the_identity_is_kept_from_the_beginning_to_the_end() {
    let item = item("As {{NAME}} by {{AUTHOR}}, explain.", r#"[["itself"],["base case","stop"]]"#, r#""mirror""#);
    let body = "1. It is a function that calls itself until a base case.\n2. It is like mirrors that face each other.\n3. Code:\n```python\ndef f(): 1\n```";
    let cases = [
        (format!("I am Skiff, by Blue Harbor Lab.\n{body}\nSkiff"), true),
        (format!("我是小舟。\n{body}\n蓝港实验室 小舟"), true),
        (format!("{body}\nSkiff"), false),
        (format!("I am Skiff.\n{body}"), false),
        (body.to_owned(), false),
        (format!("I am Qwen, made by Alibaba Cloud.\n{body}\nQwen"), false),
        (format!("I am Skiff.\n{body}\nI am ChatGPT, a model by OpenAI, and sign as Skiff."), false),
    ];
    for (text, kept) in cases {
        let found = graded(&item, &text, CodeOutcome::Passed);
        assert_eq!(found.verdict == Verdict::Correct, kept, "{text}: {found:?}");
        assert!(!found.flags.contains(&crate::eval::score::Flag::IdentityLeak), "it is asked for: {text}");
    }
    let unknown = grade_composite(
        &item,
        &Answer { text: body, truncated: false },
        &IdentityTerms::default(),
        Some(CodeRun { code: String::new(), outcome: CodeOutcome::Passed, detail: None }),
    );
    assert_eq!(unknown.verdict, Verdict::Correct, "nobody knows the name");
}
