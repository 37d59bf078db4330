//! What evaluation hands over, as the rows that records keep.

use crate::eval::run::{Answered, AnsweredPart};
use crate::eval::suite::Suite;
use crate::files::sha256;
use crate::record::rows::{ItemRow, PartRow};

/// The row of an answered item.
pub(super) fn item_row(suite: &Suite, step: Option<usize>, answered: Answered<'_>) -> ItemRow {
    let (item, graded) = (answered.item, answered.graded);
    ItemRow {
        step,
        suite: suite.name.clone(),
        role: Some(suite.role),
        item: item.id.clone(),
        hash: item.content_hash(),
        cluster: item.cluster.clone(),
        language: item.language,
        subject: item.subject.clone(),
        prompt: answered.prompt,
        answer: answered.answer,
        extracted: graded.extracted,
        verdict: graded.verdict,
        strict: graded.strict,
        lenient: graded.lenient,
        flags: graded.flags,
        detail: graded.detail,
        parts: answered.parts.into_iter().map(part_row).collect(),
        likelihood: answered.likelihood,
        prompt_digest: prompt_digest(&answered.prompt_ids),
        prompt_tokens: answered.prompt_tokens,
        answer_tokens: answered.answer_tokens,
        thought: answered.thought,
    }
}

fn part_row(part: AnsweredPart) -> PartRow {
    let AnsweredPart { prompt, answer, counts, graded } = part;
    PartRow {
        prompt,
        answer,
        verdict: counts.then_some(graded.verdict),
        extracted: graded.extracted,
        flags: graded.flags,
        detail: graded.detail,
    }
}

fn prompt_digest(ids: &[u32]) -> String {
    // What a server read is not known.
    if ids.is_empty() {
        return String::new();
    }
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    sha256(&bytes)[..16].to_owned()
}
