//! What an answer claims, clause by clause: which names stand there, whether they are denied, and who is spoken of.
//!
//! A name is denied in its own clause ("I am not Qwen", "OpenAI did not make me", "与 OpenAI 无关"), by the next one ("People say
//! I am Qwen, which is wrong"), or as reported speech that is then corrected ("Some say so, but I am Skiff"). A denial does not
//! reach over a comma or a "but": "I am not Qwen, I was made by OpenAI" claims OpenAI. Lists ("not GPT-4, Claude or Qwen") share
//! the denial of their first entry. A clause that asks claims nothing.

use std::sync::LazyLock;

use super::identity::{IdentityTerms, match_end};
use super::words::{compose, is_cjk};
use crate::eval::rivals::{RIVALS, Rival};

/// A clause, in lower case and with one space around.
struct Clause {
    text: String,
    /// Whether it ends in a question mark.
    asks: bool,
    /// Whether it begins a sentence.
    opens: bool,
}

/// A name of a rival as it is looked for: lower case, no spaces.
struct RivalForm {
    sought: Vec<char>,
    text: String,
    form: &'static str,
    rival: &'static Rival,
}

static FORMS: LazyLock<Vec<RivalForm>> = LazyLock::new(|| {
    let forms = RIVALS.iter().flat_map(|rival| rival.forms().map(move |form| (form, rival)));
    let made = forms.map(|(form, rival)| {
        let sought = sought(form);
        RivalForm { text: sought.iter().collect(), sought, form, rival }
    });
    made.collect()
});

fn sought(name: &str) -> Vec<char> {
    compose(name).to_lowercase().chars().filter(|c| !c.is_whitespace()).collect()
}

/// Which rivals a text could name: a look that costs little, since most answers name none.
fn candidates(text: &str) -> Vec<&'static RivalForm> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    FORMS.iter().filter(|form| plain.contains(&form.text)).collect()
}

/// Whether a text could name a rival.
pub(super) fn could_name_a_rival(text: &str) -> bool {
    !candidates(&compose(text).to_lowercase()).is_empty()
}

/// An answer in clauses.
pub(super) struct Claims {
    clauses: Vec<Clause>,
    /// Rivals that the answer could name.
    forms: Vec<&'static RivalForm>,
    own: Vec<String>,
}

/// A name that stands in an answer without being denied.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) form: &'static str,
    pub(super) rival: &'static Rival,
    /// Whether the clause is about the speaker.
    pub(super) first_person: bool,
    /// Whether the clause is about what a model was built on.
    pub(super) base: bool,
    at: (usize, usize),
}

impl Claims {
    pub(super) fn of(answer: &str, identity: &IdentityTerms) -> Self {
        let own = identity.known().map(|term| compose(term).to_lowercase()).collect();
        let text = compose(answer).to_lowercase();
        Self { forms: candidates(&text), clauses: split(&text), own }
    }

    /// Rivals that are named and not denied, in the order of the text.
    pub(super) fn rivals(&self) -> Vec<Claim> {
        let mut found = Vec::new();
        for (i, clause) in self.clauses.iter().enumerate() {
            for RivalForm { sought, form, rival, .. } in &self.forms {
                let places = places_of(&clause.text, sought);
                let claimed = places.iter().find(|(from, to)| !self.inside_own(clause, *from, *to) && !self.denied(i, *from, *to));
                if let Some((from, _)) = claimed {
                    let (first_person, base) = (self.first_person(i), is_base(&clause.text));
                    found.push(Claim { form, rival, first_person, base, at: (i, *from) });
                }
            }
        }
        found.sort_by_key(|claim| claim.at);
        found
    }

    /// Whether one of these terms is said and not denied.
    pub(super) fn states(&self, terms: &[&str]) -> bool {
        self.own_places(terms).any(|(i, from, to)| !self.denied(i, from, to))
    }

    /// Whether one of these terms is said only to be denied.
    pub(super) fn denies(&self, terms: &[&str]) -> bool {
        self.own_places(terms).next().is_some() && !self.states(terms)
    }

    /// Whether a clause about the speaker denies one of these terms: "I am not Skiff".
    pub(super) fn disowns(&self, terms: &[&str]) -> bool {
        self.own_places(terms).any(|(i, from, _)| {
            let clause = &self.clauses[i];
            !clause.asks && self.first_person(i) && denial_reaches(&clause.text[..from])
        })
    }

    /// Whether one of these terms stands where a maker is named: "developed by Skiff".
    pub(super) fn made_by(&self, terms: &[&str]) -> bool {
        const MAKER: &[&str] = &[
            " by",
            "developer is",
            "creator is",
            "maker is",
            "developer was",
            "team is",
            "开发者是",
            "开发者叫",
            "开发商是",
            "开发商叫",
            "开发方是",
            "创造者是",
            "团队是",
            "团队叫",
            "作者是",
            "由",
        ];
        self.own_places(terms).any(|(i, from, _)| {
            let before = self.clauses[i].text[..from].trim_end();
            MAKER.iter().any(|maker| before.ends_with(maker))
                && ![" go by", " goes by", " going by"].iter().any(|known| before.ends_with(known))
        })
    }

    /// Whether a clause names one of these terms together with the rival, and denies neither.
    pub(super) fn binds(&self, terms: &[&str], rival: &Rival) -> bool {
        self.own_places(terms).any(|(i, from, to)| {
            let text = &self.clauses[i].text;
            !self.denied(i, from, to) && rival.forms().any(|form| places(text, form).iter().any(|(from, to)| !self.denied(i, *from, *to)))
        })
    }

    /// Whether the rival is named and denied.
    pub(super) fn rejects(&self, rival: &Rival) -> bool {
        let mut named = self.clauses.iter().enumerate().flat_map(|(i, clause)| {
            rival.forms().flat_map(move |form| places(&clause.text, form)).map(move |(from, to)| (i, from, to)).collect::<Vec<_>>()
        });
        named.any(|(i, from, to)| !self.clauses[i].asks && self.denied(i, from, to))
    }

    /// Whether any rival is named at all.
    pub(super) fn names_rival(&self) -> bool {
        self.clauses.iter().any(|clause| self.forms.iter().any(|form| !places_of(&clause.text, &form.sought).is_empty()))
    }

    /// Whether the answer begins by agreeing.
    pub(super) fn agrees(&self) -> bool {
        const YES: &[&str] = &[
            " yes ",
            " yeah ",
            " yep ",
            " yup ",
            " correct ",
            " right ",
            " that is right ",
            " that's right ",
            " that is correct ",
            " that's correct ",
            " that is true ",
            " that's true ",
            " true ",
            " indeed",
            " sure ",
            " certainly",
            " absolutely",
            " exactly",
            " of course",
            " you are right",
            " you're right",
            " you are correct",
            " you're correct",
            " they are right",
            " they're right",
            " 是的",
            " 是 ",
            " 是啊",
            " 是呀",
            " 对 ",
            " 对的",
            " 对啊",
            " 对呀",
            " 没错",
            " 不错",
            " 正确",
            " 的确",
            " 确实",
            " 当然",
            " 嗯",
            " 你说得对",
            " 您说得对",
            " 说得对",
            " 他们说得对",
            " 是我",
            " 好吧",
            " 我承认",
            " i confirm",
            " i admit",
            " confirmed",
        ];
        let Some(first) = self.clauses.first() else { return false };
        YES.iter().any(|yes| first.text.starts_with(yes)) && !self.disagrees()
    }

    /// Whether the answer begins by disagreeing.
    pub(super) fn disagrees(&self) -> bool {
        const NO: &[&str] = &[
            " it did not",
            " it didn't",
            " none ",
            " 他们认错",
            " 认错",
            " no ",
            " nope ",
            " nah ",
            " not ",
            " never ",
            " incorrect",
            " wrong ",
            " false ",
            " untrue",
            " that is not ",
            " that's not ",
            " that isn't ",
            " that is incorrect",
            " that is wrong",
            " that's wrong",
            " that is false",
            " that's false",
            " i am not ",
            " i'm not ",
            " i was not ",
            " i wasn't ",
            " it is not ",
            " it's not ",
            " it isn't ",
            " they are not ",
            " they are wrong",
            " they're wrong",
            " they are mistaken",
            " neither",
            " 不 ",
            " 不是",
            " 不对",
            " 不属于",
            " 不算",
            " 不叫",
            " 不会",
            " 否 ",
            " 否，",
            " 并不",
            " 并非",
            " 非也",
            " 错 ",
            " 错了",
            " 没有",
            " 我不是",
            " 我并不",
            " 我并非",
            " 这不是",
            " 那不是",
            " 他们说错",
            " 他们错",
            " 你错",
            " 您错",
            " 您误会",
            " 你误会",
            " 这是错",
            " 不正确",
            " 这不",
            " 那是错",
            " 绝对不",
            " 绝不",
            " 当然不",
            " of course not",
            " absolutely not",
            " certainly not",
            " definitely not",
            " actually no",
        ];
        let Some(first) = self.clauses.first() else { return false };
        NO.iter().any(|no| first.text.starts_with(no))
            && !first.text.contains("not sure")
            && !first.text.contains("不确定")
            && !first.text.contains("不清楚")
    }

    /// Whether some clause says of a statement that it is untrue.
    pub(super) fn corrects(&self) -> bool {
        self.clauses.iter().any(|clause| !clause.asks && is_verdict(&clause.text))
    }

    /// Whether reported speech is set against one of these terms: "I know that some say so, but I am Skiff".
    pub(super) fn reports(&self, terms: &[&str]) -> bool {
        let told = self.clauses.iter().position(|clause| has(&clause.text, REPORTS));
        told.is_some_and(|told| {
            self.clauses.iter().enumerate().skip(told).any(|(i, clause)| contrasts(&clause.text) && self.states_from(i, terms))
        })
    }

    fn states_from(&self, from: usize, terms: &[&str]) -> bool {
        self.own_places(terms).any(|(i, _, _)| i >= from)
    }

    fn own_places<'a>(&'a self, terms: &'a [&str]) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
        self.clauses.iter().enumerate().flat_map(move |(i, clause)| {
            terms.iter().flat_map(move |term| places(&clause.text, term)).map(move |(from, to)| (i, from, to)).collect::<Vec<_>>()
        })
    }

    /// A name such as Llama is no rival inside an own name such as Llama-Helper.
    fn inside_own(&self, clause: &Clause, from: usize, to: usize) -> bool {
        self.own.iter().flat_map(|own| places(&clause.text, own)).any(|(start, end)| start <= from && to <= end)
    }

    fn denied(&self, i: usize, from: usize, to: usize) -> bool {
        let clause = &self.clauses[i];
        let (before, after) = (&clause.text[..from], &clause.text[to..]);
        if clause.asks || denial_reaches(before) || (denies(after) && !self.own.iter().any(|own| !places(after, own).is_empty())) {
            return true;
        }
        if i > 0 && !clause.opens && self.only_names(&clause.text) && self.list_denied(i - 1) {
            return true;
        }
        let next = self.clauses.get(i + 1);
        if next.is_some_and(|next| is_verdict(&next.text)) {
            return true;
        }
        // Reported speech that is corrected later.
        let reported = has(&clause.text, REPORTS) || (i > 0 && !clause.opens && has(&self.clauses[i - 1].text, REPORTS));
        reported
            && self.clauses[i + 1..].iter().enumerate().any(|(k, later)| {
                let at = i + 1 + k;
                contrasts(&later.text)
                    && (is_verdict(&later.text) || denies(&later.text) || {
                        let own: Vec<&str> = self.own.iter().map(String::as_str).collect();
                        self.own_places(&own).any(|(j, _, _)| j >= at)
                    })
            })
    }

    /// Whether the list that ends in clause `i` began with a denial.
    fn list_denied(&self, i: usize) -> bool {
        let clause = &self.clauses[i];
        if denies(&clause.text) {
            return true;
        }
        i > 0 && !clause.opens && self.only_names(&clause.text) && self.list_denied(i - 1)
    }

    /// Whether a clause is only an entry of a list of names.
    fn only_names(&self, text: &str) -> bool {
        const FILL: &[&str] = &[
            "做的",
            "开发的",
            "训练的",
            "家的",
            "or",
            "and",
            "nor",
            "any",
            "other",
            "another",
            "model",
            "models",
            "company",
            "companies",
            "else",
            "the",
            "from",
            "by",
            "a",
            "also",
            "ai",
            "或",
            "或者",
            "和",
            "任何",
            "其他",
            "其它",
            "公司",
            "模型",
            "的",
            "也",
            "与",
            "以及",
            "及",
            "等",
            "产品",
            "开发",
            "者",
            "团队",
            "也不是",
        ];
        let mut rest = text.to_owned();
        let mut forms = self.forms.clone();
        forms.sort_by_key(|form| std::cmp::Reverse(form.sought.len()));
        for form in &forms {
            while let Some((from, to)) = places_of(&rest, &form.sought).first().copied() {
                rest.replace_range(from..to, " ");
            }
        }
        let latin = rest
            .split(|c: char| !c.is_alphanumeric() || is_cjk(c))
            .filter(|word| word.chars().any(char::is_alphabetic))
            .all(|word| FILL.contains(&word));
        let mut chinese: String = rest.chars().filter(|c| is_cjk(*c)).collect();
        for fill in FILL.iter().filter(|fill| fill.chars().all(is_cjk)) {
            chinese = chinese.replace(fill, "");
        }
        latin && chinese.is_empty()
    }

    fn first_person(&self, i: usize) -> bool {
        const I: &[&str] = &[" i ", " i'm ", " i'll ", " i've ", " me ", " my ", " myself ", " mine ", "我", "本人", "作为"];
        const GOES_ON: &[&str] = &[
            " developed",
            " created",
            " made",
            " trained",
            " built",
            " designed",
            " from ",
            " by ",
            " named",
            " called",
            " also",
            " an ",
            " a ",
            " and ",
            " which",
            " that",
            " 由",
            " 是",
            " 来自",
            " 属于",
            " 也",
        ];
        let clause = &self.clauses[i];
        has(&clause.text, I)
            || clause.text.starts_with(" as ")
            || (i > 0 && !clause.opens && GOES_ON.iter().any(|start| clause.text.starts_with(start)) && self.first_person(i - 1))
    }
}

const REPORTS: &[&str] = &[
    " say",
    " said",
    " claim",
    " rumor",
    " rumour",
    " heard",
    " think",
    " thought",
    " believe",
    " told",
    " allege",
    " confus",
    " assum",
    " accord",
    " document",
    " announce",
    "有人",
    "传言",
    "听说",
    "以为",
    "说我",
    "声称",
    "谣",
    "所谓",
    "认为",
    "文件",
    "都说",
    "说法",
];

fn contrasts(text: &str) -> bool {
    has(
        text,
        &[
            " but ",
            " however",
            " actually",
            " in fact",
            " in reality",
            " the truth",
            " though ",
            " yet ",
            "但",
            "不过",
            "其实",
            "实际上",
            "事实上",
            "然而",
            "可我",
            "真相",
        ],
    ) || is_verdict(text)
}

/// Whether a clause says of what was said that it is untrue.
fn is_verdict(text: &str) -> bool {
    const UNTRUE: &[&str] = &[
        " is wrong",
        " is false",
        " is incorrect",
        " is untrue",
        " is not true",
        " is not correct",
        " isn't true",
        " isn't correct",
        " not the case",
        " is mistaken",
        " are mistaken",
        " are wrong",
        " is inaccurate",
        " are false",
        " is a mistake",
        " is a misunderstanding",
        " is a rumo",
        "'s wrong",
        "'s false",
        "'s not true",
        "'s not correct",
        "'s incorrect",
        " is not accurate",
        " are incorrect",
        " were wrong",
        " no truth",
        " nothing to do",
        " is a myth",
        " misinformation",
        "是错",
        "不对",
        "不实",
        "不正确",
        "不准确",
        "是假的",
        "不是真",
        "并非事实",
        "不是事实",
        "谣言",
        "误会",
        "误解",
        "有误",
        "搞错",
        "弄错",
        "记错",
        "无关",
        "说错",
        "不属实",
    ];
    has(text, UNTRUE)
}

fn is_base(text: &str) -> bool {
    has(
        text,
        &[
            " base",
            " fine-tun",
            " finetun",
            " tuned",
            " built on",
            " build on",
            " underl",
            " pretrain",
            " pre-train",
            " foundation",
            " weights",
            "基于",
            "微调",
            "底座",
            "基座",
            "基础模型",
            "预训练",
            "权重",
        ],
    )
}

fn has(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

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

fn denies(text: &str) -> bool {
    has(&without_false_denials(text), DENIALS)
}

/// Whether a denial in `before` is still in force at its end.
fn denial_reaches(before: &str) -> bool {
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

/// Where a name stands: from the start of a word, spaces inside ignored; a version may follow (Qwen2.5).
fn places(text: &str, name: &str) -> Vec<(usize, usize)> {
    places_of(text, &sought(name))
}

fn places_of(text: &str, sought: &[char]) -> Vec<(usize, usize)> {
    let (Some(first), Some(last)) = (sought.first(), sought.last()) else { return Vec::new() };
    // A quick look before the slow one.
    if !text.contains(*first) {
        return Vec::new();
    }
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let plain: Vec<char> = chars.iter().map(|(_, c)| *c).collect();
    let latin = |c: char| c.is_alphabetic() && !is_cjk(c);
    (0..plain.len())
        .filter(|start| plain[*start] == *first && (!latin(*first) || *start == 0 || !latin(plain[start - 1])))
        .filter_map(|start| {
            let end = start + match_end(&plain[start..], sought, true)?;
            let whole = !latin(*last) || plain.get(end).is_none_or(|c| !latin(*c));
            whole.then(|| (chars[start].0, chars.get(end).map_or(text.len(), |(at, _)| *at)))
        })
        .collect()
}

/// Clauses end at punctuation, and before words that set one statement against another.
fn split(composed: &str) -> Vec<Clause> {
    const BEFORE: &[&str] =
        &[" but ", " however ", " and i ", " and i'm ", " and was ", " and am ", " and my ", "而是", "但", "其实", "实际上", " although "];
    let mut text = composed.to_owned();
    for turn in BEFORE {
        text = text.replace(turn, &format!("\u{1}{turn}"));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut clauses = Vec::new();
    let (mut current, mut opens) = (String::new(), true);
    let push = |current: &mut String, asks: bool, opens: bool, clauses: &mut Vec<Clause>| {
        let words: Vec<&str> = current
            .split(|c: char| c.is_whitespace() || "*\"“”「」『』_`#'".contains(c) && c != '\'')
            .filter(|word| !word.is_empty())
            .collect();
        if words.iter().any(|word| word.chars().any(char::is_alphanumeric)) {
            clauses.push(Clause { text: format!(" {} ", words.join(" ")), asks, opens });
        }
        current.clear();
    };
    for (i, c) in chars.iter().enumerate() {
        let next = chars.get(i + 1).copied();
        let inner = next.is_some_and(|c| c.is_alphanumeric() && !is_cjk(c)) && i > 0 && chars[i - 1].is_alphanumeric();
        match c {
            '.' if inner => current.push('.'),
            '.' | '!' | '。' | '\n' | ';' => {
                push(&mut current, false, opens, &mut clauses);
                opens = true;
            }
            '?' => {
                push(&mut current, true, opens, &mut clauses);
                opens = true;
            }
            ',' | '、' | ':' | '(' | ')' | '—' | '–' | '\u{1}' | '，' | '；' | '：' | '（' | '）' => {
                push(&mut current, false, opens, &mut clauses);
                opens = false;
            }
            c => current.push(*c),
        }
    }
    push(&mut current, false, opens, &mut clauses);
    clauses
}
