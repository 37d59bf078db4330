//! Denials: which words deny, how far they reach, and turns of phrase that only look like one.

use super::phrases::has;

/// Turns of phrase that hold a denying word and deny nothing.
const FALSE_DENIALS: &[&str] = &[
    "不能确定",
    "无法确定",
    "不确定",
    "not sure",
    "can't be sure",
    "cannot be sure",
    "not only",
    "not just",
    "not merely",
    "no doubt",
    "without doubt",
    "without a doubt",
    "no secret",
    "no one but",
    "none other than",
    "nobody but",
    "nothing but",
    "can't deny",
    "cannot deny",
    "won't deny",
    "don't deny",
    "not deny",
    "no denying",
    "not wrong",
    "not mistaken",
    "not false",
    "why not",
    "no other than",
    "not surprising",
    "no wonder",
    "wrongly denied",
    "no question",
    "不仅",
    "不但",
    "不只",
    "不光",
    "不断",
    "不过",
    "不错",
    "没错",
    "无论",
    "无疑",
    "毫无疑问",
    "非常",
    "不可否认",
    "否则",
    "未来",
    "是否",
    "除非",
    "不得不",
    "不瞒",
    "不客气",
    "无法否认",
    "不能否认",
    "不否认",
    "不会否认",
    "无非",
    "非得",
    "没说错",
    "没有错",
    "没什么好",
    "不得已",
    "无可否认",
    "不就是",
    "不正是",
    "无缝",
    "不止",
];

const DENIALS: &[&str] = &[
    " another model's name",
    " another assistant's name",
    " somebody else's name",
    " someone else's name",
    "另一个模型的名字",
    " different ",
    "另外的",
    "别的",
    " not ",
    "n't ",
    " no ",
    " never ",
    " neither ",
    " nor ",
    " none ",
    " nothing ",
    " without ",
    " cannot ",
    " unrelated",
    " unaffiliated",
    " independent of",
    " independently of",
    " unlike ",
    " different from",
    " distinct from",
    " separate from",
    " false",
    " wrong",
    " incorrect",
    " untrue",
    " inaccurate",
    " mistak",
    " myth",
    " deny",
    " denies",
    " rather than",
    " instead of",
    " misunderst",
    " no longer ",
    "不",
    "没",
    "未",
    "非",
    "无",
    "错误",
    "错了",
    "谣",
    "误",
    "假",
    "否",
    "有别于",
    "区别",
];

fn without_false_denials(text: &str) -> String {
    FALSE_DENIALS.iter().fold(text.to_owned(), |text, phrase| text.replace(phrase, " "))
}

/// Whether something is denied in a text.
pub(super) fn denies(text: &str) -> bool {
    has(&without_false_denials(text), DENIALS)
}

/// Whether a denial in `before` is still in force at its end.
pub(super) fn denial_reaches(before: &str) -> bool {
    const ANEW: &[&str] =
        &[" i come ", " i am ", " i'm ", " i was ", " my name", " my maker", " my developer", "我是", "而是", "我由", "我叫", "我来自"];
    const SUBORDINATES: &[&str] =
        &["that", "say", "think", "believe", "mean", "claim", "true", "correct", "说", "认为", "表示", "意味着", "证明", "觉得", "承认"];
    let text = without_false_denials(before);
    let last = DENIALS.iter().filter_map(|denial| text.rfind(denial).map(|at| at + denial.trim_end().len())).max();
    last.is_some_and(|at| {
        let rest = &text[at..];
        let rest = format!(" {} ", rest.trim());
        !has(&rest, ANEW) || has(&rest, SUBORDINATES)
    })
}
