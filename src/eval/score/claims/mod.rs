//! What an answer claims, clause by clause: which names stand there, whether they are denied, and who is spoken of.
//!
//! A name is denied in its own clause ("I am not Qwen", "OpenAI did not make me", "与 OpenAI 无关"), by the next one ("People say
//! I am Qwen, which is wrong"), or as reported speech that is then corrected ("Some say so, but I am Skiff"). A denial does not
//! reach over a comma or a "but": "I am not Qwen, I was made by OpenAI" claims OpenAI. Lists ("not GPT-4, Claude or Qwen") share
//! the denial of their first entry. A clause that asks claims nothing.

mod clause;
mod denial;
mod names;
mod phrases;

use super::identity::IdentityTerms;
use super::words::{compose, is_cjk};
use crate::eval::rivals::Rival;
use clause::{Clause, split};
use denial::{denial_reaches, denies};
pub(super) use names::could_name_a_rival;
use names::{RivalForm, candidates, places, places_of, without_llamarse};
use phrases::{FILL, GOES_ON, I, MAKER, NO, REPORTS, YES, asks_indirectly, contrasts, has, is_base, is_verdict};

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
        let text = without_llamarse(&compose(answer).to_lowercase());
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
            !clause.asks && !asks_indirectly(&clause.text) && self.first_person(i) && denial_reaches(&clause.text[..from])
        })
    }

    /// Whether one of these terms stands where a maker is named: "developed by Skiff".
    pub(super) fn made_by(&self, terms: &[&str]) -> bool {
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
        let Some(first) = self.clauses.first() else { return false };
        YES.iter().any(|yes| first.text.starts_with(yes)) && !self.disagrees()
    }

    /// Whether the answer begins by disagreeing.
    pub(super) fn disagrees(&self) -> bool {
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
        let clause = &self.clauses[i];
        has(&clause.text, I)
            || clause.text.starts_with(" as ")
            || (i > 0 && !clause.opens && GOES_ON.iter().any(|start| clause.text.starts_with(start)) && self.first_person(i - 1))
    }
}
