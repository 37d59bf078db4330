//! Items put to a served model, so many at a time, each handed on as it is finished.
//!
//! A unit of work is a whole item: the turns of a conversation follow each other, and an item that was cut off is asked again
//! from its beginning. The first failure ends the asking; what was answered by then is handed on.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::chat::{self, Reply};
use super::offers::Logits;
use super::prompts::{self, Compared, Counts};
use super::{Client, Failure, Offers, completion};
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::data::thinking::{Thinking, of_text};
use crate::eval::grading::Grader;
use crate::eval::likelihood::{Likelihood, Probes, continuations};
use crate::eval::prompt;
use crate::eval::run::{Answered, Asker, chosen, filled};
use crate::eval::score::{Answer, Graded, Verdict, never_closed};
use crate::eval::suite::{EvalSettings, Item, PromptFormat, Scoring, Suite, Task, choice_letter};
use crate::eval::whole::Whole;

/// Prompts of each suite that are held against a base's before anything is asked.
const HELD: usize = 3;

/// A served model and how it is asked.
pub struct Served<'a> {
    /// The endpoint.
    pub client: &'a Client,
    /// The model there.
    pub offers: &'a Offers,
    /// Tokenizer and template of the base that the served model is made of, where it is named.
    pub base: Option<&'a ChatTemplate>,
    /// System prompt for every question.
    pub system: &'a str,
    /// Grades answers.
    pub grader: Grader<'a>,
    /// Requests at a time.
    pub concurrency: NonZeroUsize,
    /// Whether it is asked to think, and how long it may.
    pub thinking: Thinking,
    logits: Option<Logits>,
    counts: Counts,
}

/// Whether a suite's verdicts rest on log-probabilities.
pub fn needs_logits(suite: &Suite) -> bool {
    suite.scoring == Scoring::Likelihood
}

impl<'a> Served<'a> {
    /// A served model that is to answer these suites. Those that rest on log-probabilities which the endpoint does not give are
    /// refused by name, before any item is asked.
    pub fn new(
        client: &'a Client,
        offers: &'a Offers,
        base: Option<&'a ChatTemplate>,
        system: &'a str,
        grader: Grader<'a>,
        concurrency: NonZeroUsize,
        suites: &[(&Suite, &[Item])],
    ) -> Result<Self> {
        let needing: Vec<(&str, &[Item])> =
            suites.iter().filter(|(suite, _)| needs_logits(suite)).map(|(s, i)| (s.name.as_str(), *i)).collect();
        let logits = if needing.is_empty() { None } else { offers.logits(client)? };
        refuse(client, logits, base.is_some(), &needing)?;
        Ok(Self { client, offers, base, system, grader, concurrency, thinking: Thinking::default(), logits, counts: Counts::default() })
    }

    /// The same, asked to think or not to.
    pub fn thinking(self, thinking: Thinking) -> Self {
        Self { thinking, ..self }
    }

    /// Holds some prompts of every suite against the base's: by token ids where the server shows them, else by their number.
    pub fn compare_prompts(&self, suites: &[(&Suite, &[Item])]) -> Result<Compared> {
        let Some(base) = self.base else { return Ok(Compared::default()) };
        let mut talks = Vec::new();
        for item in suites.iter().flat_map(|(_, items)| items.iter().take(HELD)) {
            let leaf = item.leaves().first().copied().unwrap_or(item);
            let leaf = filled(leaf, self.grader.identity);
            if is_chat(&leaf) {
                talks.push((item.id.clone(), prompt::messages(&leaf, leaf.few_shot.as_deref(), &[], self.system)));
            }
        }
        if let Some(compared) = prompts::by_ids(self.client, self.offers, base, &talks)? {
            return Ok(compared);
        }
        let counts = Counts::default();
        for (item, messages) in talks {
            let counted = match self.chat(&item, &messages, 1, false) {
                Ok((reply, _)) => reply.prompt_tokens,
                // A server that only continues texts.
                Err(error) if matches!(error.downcast_ref(), Some(Failure::Refused { status: 404 | 405 | 501, .. })) => None,
                Err(error) => return Err(error),
            };
            match counted {
                Some(theirs) => counts.add(&item, base.prompt(&messages)?.len(), theirs),
                None => return Ok(Compared::default()),
            }
        }
        Ok(counts.found())
    }

    /// What the numbers of tokens of all prompts asked so far showed.
    pub fn counted(&self) -> Compared {
        self.counts.found()
    }

    /// What identifies the prompt of an item: its token ids by the base's template, or the messages where no base is named.
    pub fn prompt(&self, item: &Item) -> Result<Value> {
        let mut parts = Vec::new();
        for leaf in item.leaves() {
            let leaf = filled(leaf, self.grader.identity);
            parts.push(match self.base {
                Some(base) => serde_json::to_value(prompt::ask(&leaf, &[], self.system, base)?.ids)?,
                None => serde_json::to_value(prompt::messages(&leaf, leaf.few_shot.as_deref(), &[], self.system))?,
            });
        }
        Ok(match self.base {
            Some(_) => Value::Array(parts.into_iter().flat_map(|ids| ids.as_array().cloned().unwrap_or_default()).collect()),
            None => Value::Array(parts),
        })
    }

    /// Answers all items but those in `done`; `sink` gets each as it is finished, in the order of finishing.
    pub fn answer<'i>(
        &self,
        items: &'i [Item],
        asking: EvalSettings,
        done: &HashSet<String>,
        sink: &mut dyn FnMut(Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let waiting: Vec<&'i Item> = items.iter().filter(|item| !done.contains(&item.id)).collect();
        let none = HashSet::new();
        let askers = [Asker { adapter: None, done: &none }];
        let mut sink = |_, answered| sink(answered);
        let mut whole = Whole::new(&askers, &mut sink);
        let next = AtomicUsize::new(0);
        let mut failure = None;
        std::thread::scope(|scope| {
            let (finished, results) = mpsc::channel();
            for _ in 0..self.concurrency.get().min(waiting.len()) {
                let (finished, next, waiting) = (finished.clone(), &next, &waiting);
                scope.spawn(move || {
                    while let Some(item) = waiting.get(next.fetch_add(1, Ordering::SeqCst)).filter(|_| !self.client.is_stopped()) {
                        let answered = self.item(item, asking);
                        if answered.is_err() {
                            self.client.stop();
                        }
                        if finished.send(answered).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(finished);
            for result in results {
                let taken =
                    result.and_then(|parts| parts.into_iter().enumerate().try_for_each(|(part, answered)| whole.add(0, part, answered)));
                if let Err(error) = taken {
                    self.client.stop();
                    // Those that were given up are not the reason.
                    let given_up = error.chain().any(|cause| cause.downcast_ref::<Failure>() == Some(&Failure::Stopped));
                    if failure.is_none() && !given_up {
                        failure = Some(error);
                    }
                }
            }
        });
        failure.map_or(Ok(()), Err)
    }

    /// The answer to an item, or to each of its parts.
    fn item<'i>(&self, item: &'i Item, asking: EvalSettings) -> Result<Vec<Answered<'i>>> {
        let mut said = Vec::new();
        let mut answers = Vec::new();
        for leaf in item.leaves() {
            let leaf = filled(leaf, self.grader.identity);
            let answered = match asking.scoring {
                Scoring::Likelihood if !item.is_conversation() => self.choose(item, &leaf),
                Scoring::Generated | Scoring::Likelihood => self.generate(item, &leaf, &said, asking.max_new_tokens),
            }?;
            if item.is_conversation() {
                said.push(Message::new(Role::User, answered.prompt.as_str()));
                said.push(Message::new(Role::Assistant, answered.answer.as_str()));
            }
            answers.push(answered);
        }
        Ok(answers)
    }

    fn generate<'i>(&self, item: &'i Item, leaf: &Item, said: &[Message], max_new_tokens: usize) -> Result<Answered<'i>> {
        if !is_chat(leaf) {
            bail!("item {} is a text to continue, which is asked by likelihood alone", leaf.id);
        }
        let messages = prompt::messages(leaf, leaf.few_shot.as_deref(), said, self.system);
        let budget = if self.thinking.enable { self.thinking.budget } else { 0 };
        let (reply, prompt_tokens) = self.chat(&item.id, &messages, max_new_tokens + budget, true)?;
        let said = of_text(&reply.text, 0);
        let graded = if said.never_closed() {
            Ok(never_closed(reply.truncated))
        } else {
            self.grader.grade(leaf, &Answer { text: &said.text, truncated: reply.truncated })
        };
        let graded = graded.with_context(|| format!("item {}", leaf.id))?;
        let answer_tokens = match (reply.answer_tokens, self.base) {
            (Some(tokens), _) => tokens,
            (None, Some(base)) => base.codec().encode_on(&reply.text)?.len(),
            (None, None) => 0,
        };
        Ok(Answered { answer_tokens, thought: said.thought, ..answered(item, leaf, said.text, graded, None, prompt_tokens) })
    }

    /// The reply to a conversation, and the tokens of its prompt: by the server's count, or by the base's.
    fn chat(&self, item: &str, messages: &[Message], max_tokens: usize, counted: bool) -> Result<(Reply, usize)> {
        let body = self.chat_settings(chat::body(&self.offers.model, messages, max_tokens, false));
        let reply = self.client.post(&self.client.address().api("chat/completions"), &body).with_context(|| format!("item {item}"))?;
        let reply = chat::read(&reply).map_err(|what| self.odd(item, "chat/completions", &what))?;
        let ours = self.base.map(|base| base.prompt(messages)).transpose()?.map(|ids| ids.len());
        if let (Some(ours), Some(theirs), true) = (ours, reply.prompt_tokens, counted) {
            self.counts.add(item, ours, theirs);
        }
        let tokens = reply.prompt_tokens.or(ours).unwrap_or(0);
        Ok((reply, tokens))
    }

    /// The option that the model finds most probable.
    fn choose<'i>(&self, item: &'i Item, leaf: &Item) -> Result<Answered<'i>> {
        match (self.logits, self.base) {
            (Some(Logits::Echo), Some(base)) => {
                let (likelihood, probes, tokens) = self.echo(leaf, base)?;
                let (answer, graded) = chosen(&leaf.id, &probes, &likelihood)?;
                Ok(answered(item, leaf, answer, graded, Some(likelihood), tokens))
            }
            (Some(_), _) => {
                let messages = prompt::messages(leaf, leaf.few_shot.as_deref(), &[], self.system);
                let body = self.chat_settings(chat::body(&self.offers.model, &messages, 1, true));
                let reply =
                    self.client.post(&self.client.address().api("chat/completions"), &body).with_context(|| format!("item {}", leaf.id))?;
                let reply = chat::read(&reply).map_err(|what| self.odd(&leaf.id, "chat/completions", &what))?;
                if let (Some(base), Some(theirs)) = (self.base, reply.prompt_tokens) {
                    self.counts.add(&leaf.id, base.prompt(&messages)?.len(), theirs);
                }
                let (answer, graded) = first_letter(leaf, &reply.first)?;
                Ok(answered(item, leaf, answer, graded, None, reply.prompt_tokens.unwrap_or(0)))
            }
            (None, _) => bail!("item {} is scored by likelihood, and the endpoint gives no log-probabilities", leaf.id),
        }
    }

    /// The likelihood of every continuation, each from the log-probabilities of its whole text; and the prompt's tokens.
    fn echo(&self, leaf: &Item, base: &ChatTemplate) -> Result<(Likelihood, Probes, usize)> {
        let asked = prompt::ask(leaf, &[], self.system, base)?;
        let no_options = || anyhow!("item {} has no options to choose from: its suite cannot be scored by likelihood", leaf.id);
        let (probes, texts) = asked.probes.zip(continuations(leaf)).ok_or_else(no_options)?;
        let few_shot = leaf.few_shot.as_deref();
        let (before, gap) = match few_shot.filter(|few_shot| few_shot.form != PromptFormat::Chat) {
            Some(few_shot) => (few_shot.text(&leaf.user_prompt()), few_shot.gap.as_str()),
            None => (base.render(&prompt::messages(leaf, few_shot, &[], self.system), true)?, ""),
        };
        // The server puts the beginning-of-sequence token there itself.
        let beginning = base.codec().decode_all(&base.codec().beginning()?)?;
        let before = before.strip_prefix(beginning.as_str()).unwrap_or(&before);
        let mut scores = Vec::new();
        for (text, continuation) in texts.all().zip(probes.continuations(0)) {
            let tokens = asked.ids.len() + continuation.ids.len();
            let body = self.settings(completion::body(&self.offers.model, &format!("{before}{gap}{text}")));
            let reply = self.client.post(&self.client.address().api("completions"), &body).with_context(|| format!("item {}", leaf.id))?;
            let all = completion::read(&reply, tokens).map_err(|what| self.odd(&leaf.id, "completions", &what))?;
            scores.push(all[asked.ids.len()..].iter().map(|score| *score as f32).collect());
        }
        Ok((probes.read(&scores), probes, asked.ids.len()))
    }

    /// The same for a chat, with the template told whether to think as the base's is.
    fn chat_settings(&self, body: Value) -> Value {
        let mut body = self.settings(body);
        if let Some(switches) = self.base.and_then(|base| prompts::switches(self.offers.server, base)) {
            body["chat_template_kwargs"] = switches;
        }
        body
    }

    /// With the penalty on repeated tokens off, by the server's own name for it.
    fn settings(&self, mut body: Value) -> Value {
        if let Some(name) = self.offers.server.penalty() {
            body[name] = 1.0.into();
        }
        body
    }

    fn odd(&self, item: &str, path: &str, what: &str) -> anyhow::Error {
        anyhow!("{} answered with {what}", self.client.address().api(path)).context(format!("item {item}"))
    }
}

/// Whether an item is asked as a chat, not as a text to continue.
fn is_chat(leaf: &Item) -> bool {
    leaf.few_shot.as_ref().is_none_or(|few_shot| few_shot.form == PromptFormat::Chat)
}

/// Whether a letter decides an item that is asked as a chat.
fn by_letter(item: &Item) -> bool {
    item.leaves().iter().all(|leaf| is_chat(leaf) && matches!(leaf.task, Task::Choice { .. }))
}

/// Fails with the suites that the endpoint cannot be asked.
fn refuse(client: &Client, logits: Option<Logits>, has_base: bool, needing: &[(&str, &[Item])]) -> Result<()> {
    let refused = |why: &str, suites: Vec<&str>, remedy: &str| -> Result<()> {
        if suites.is_empty() {
            return Ok(());
        }
        bail!("{} cannot be asked of {}: {why}. {remedy}", named(&suites), client.address().base())
    };
    let names =
        |wanted: &dyn Fn(&Item) -> bool| needing.iter().filter(|(_, items)| items.iter().any(wanted)).map(|(name, _)| *name).collect();
    match logits {
        None => refused(
            "their verdicts rest on log-probabilities, and it gives none: neither of an echoed text (`echo` with `logprobs` in /completions) nor of \
             first tokens (`top_logprobs` in /chat/completions)",
            names(&|_| true),
            "Leave them out, take a mapping that has the answer generated, or serve the model with llama.cpp's server or vLLM",
        ),
        Some(Logits::Echo) if !has_base => refused(
            "where an answer begins among the log-probabilities of a text is told by the tokenizer",
            names(&|item| !by_letter(item)),
            "Name the model that is served, or the base it was made of, with --base",
        ),
        Some(Logits::First) => refused(
            "they are texts to continue, or have no letters, and it gives log-probabilities of a chat's first tokens alone",
            names(&|item| !by_letter(item)),
            "Ask them with --form chat, or serve the model with vLLM or llama-cpp-python, which echo a text with its log-probabilities",
        ),
        Some(Logits::Echo) => Ok(()),
    }
}

fn named(suites: &[&str]) -> String {
    let word = if suites.len() == 1 { "suite" } else { "suites" };
    format!("{word} {}", suites.join(", "))
}

/// The letter that is the most probable first token.
fn first_letter(leaf: &Item, first: &[(String, f64)]) -> Result<(String, Graded)> {
    let Task::Choice { choices, gold } = &leaf.task else { bail!("item {} has no letters", leaf.id) };
    let score = |letter: char| first.iter().find(|(token, _)| *token == letter.to_string()).map(|(_, score)| *score);
    let scores: Vec<Option<f64>> = (0..choices.len()).map(|i| score(choice_letter(i))).collect();
    // Ties to the first; a letter that is not listed is less probable than any that is.
    let best = (0..scores.len()).fold(None, |best: Option<(usize, f64)>, i| match (best, scores[i]) {
        (Some((_, most)), Some(score)) if score <= most => best,
        (_, Some(score)) => Some((i, score)),
        (best, None) => best,
    });
    let Some((letter, _)) = best else {
        let graded = Graded {
            verdict: Verdict::Unparsed,
            extracted: None,
            strict: false,
            lenient: false,
            flags: Vec::new(),
            detail: Some(format!("none of the options' letters is among the {} most probable first tokens", first.len())),
        };
        return Ok((String::new(), graded));
    };
    let shown = scores.iter().enumerate().map(|(i, score)| match score {
        Some(score) => format!("{} {score:.4}", choice_letter(i)),
        None => format!("{} not listed", choice_letter(i)),
    });
    let detail = format!("log-probabilities of the first token: {}", shown.collect::<Vec<_>>().join(", "));
    let right = letter == *gold;
    let answer = choice_letter(letter).to_string();
    let graded = Graded {
        verdict: if right { Verdict::Correct } else { Verdict::Wrong },
        extracted: Some(answer.clone()),
        strict: right,
        lenient: right,
        flags: Vec::new(),
        detail: Some(detail),
    };
    Ok((answer, graded))
}

/// An answer without its tokens. The ids that the server read are not known, so there are none.
fn answered<'i>(
    item: &'i Item,
    leaf: &Item,
    answer: String,
    graded: Graded,
    likelihood: Option<Likelihood>,
    prompt_tokens: usize,
) -> Answered<'i> {
    Answered {
        item,
        prompt: leaf.user_prompt(),
        answer,
        graded,
        parts: Vec::new(),
        likelihood,
        prompt_ids: Vec::new(),
        prompt_tokens,
        answer_tokens: 0,
        thought: None,
    }
}
