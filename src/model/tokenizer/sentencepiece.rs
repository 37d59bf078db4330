//! Tokenizers of the SentencePiece kind from the pieces and scores of a GGUF header, as llama.cpp tokenizes with them: of all
//! neighbours that form a piece, the pair with the highest score is joined first, and letters without a piece become bytes.
//!
//! Merges are those that transformers' converter derives from such a vocabulary (`generate_merges`): every way to cut a piece
//! in two pieces, in the order of the joined piece's score. `tests/ggml_vocabularies.rs` holds ids against llama.cpp's.

use std::collections::HashMap;

use anyhow::{Result, anyhow, bail, ensure};
use tokenizers::Tokenizer;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Replace, Sequence};

/// What stands for a space.
const SPACE: &str = "▁";
/// Bytes of a piece: every way to cut it is tried. Gemma's longest are 31 spaces.
const LONGEST: usize = 1024;
/// `llama_token_type` of pieces that a user defined.
const USER_DEFINED: u32 = 4;
/// `llama_token_type` of pieces that text is made of: normal ones, and those that a user defined.
const TEXT: [u32; 2] = [1, USER_DEFINED];

/// The pieces of a header as SentencePiece has them: llama.cpp's converter writes spaces into those that a user defined.
pub(super) fn pieces(texts: &[&str], types: &[u32]) -> Vec<String> {
    let piece = |(text, kind): (&&str, &u32)| if *kind == USER_DEFINED { text.replace(' ', SPACE) } else { (*text).to_owned() };
    texts.iter().zip(types).map(piece).collect()
}

/// Pieces in the order of their ids, with their scores and types.
pub(super) struct Pieces<'a> {
    pub(super) texts: &'a [&'a str],
    pub(super) scores: &'a [f32],
    pub(super) types: &'a [u32],
    /// The piece for what has neither a piece nor bytes.
    pub(super) unknown: Option<&'a str>,
    /// A text begins with a space.
    pub(super) prefix: bool,
}

impl Pieces<'_> {
    /// The tokenizer, without its added tokens.
    pub(super) fn tokenizer(&self) -> Result<Tokenizer> {
        ensure!(self.scores.len() == self.texts.len(), "the GGUF header has {} tokens and {} scores", self.texts.len(), self.scores.len());
        if let Some(id) = self.texts.iter().position(|text| text.len() > LONGEST) {
            bail!("token {id} of the GGUF header has {} bytes, and a piece has at most {LONGEST}", self.texts[id].len());
        }
        ensure!(self.scores.iter().all(|score| !score.is_nan()), "a score of the GGUF header's tokens is not a number");
        let ids: HashMap<&str, u32> = self.texts.iter().enumerate().map(|(id, text)| (*text, id as u32)).collect();
        let vocabulary: Vocab = self.texts.iter().enumerate().map(|(id, text)| ((*text).to_owned(), id as u32)).collect();
        let mut bpe = BPE::builder().vocab_and_merges(vocabulary, self.merges(&ids)).byte_fallback(true).fuse_unk(true);
        if let Some(unknown) = self.unknown {
            bpe = bpe.unk_token(unknown.to_owned());
        }
        let mut tokenizer = Tokenizer::new(bpe.build().map_err(|e| anyhow!("the GGUF header's tokens do not make a tokenizer: {e}"))?);
        let replace = |from: &str, to: &str| Replace::new(from, to).map_err(|e| anyhow!("{e}"));
        let mut steps: Vec<NormalizerWrapper> = Vec::new();
        if self.prefix {
            steps.push(Prepend::new(SPACE.to_owned()).into());
        }
        steps.push(replace(" ", SPACE)?.into());
        tokenizer.with_normalizer(Some(Sequence::new(steps))).map_err(|e| anyhow!("{e}"))?;
        let mut steps: Vec<DecoderWrapper> = vec![replace(SPACE, " ")?.into(), ByteFallback::new().into(), Fuse::new().into()];
        if self.prefix {
            steps.push(Strip::new(' ', 1, 0).into());
        }
        tokenizer.with_decoder(Some(Decoders::new(steps)));
        Ok(tokenizer)
    }

    /// Pairs of pieces that join to a piece, the one to join first first.
    fn merges(&self, ids: &HashMap<&str, u32>) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (id, text) in self.texts.iter().enumerate().filter(|(id, _)| TEXT.contains(&self.types[*id])) {
            let cuts = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
            let mut pairs: Vec<_> = cuts.filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?, left, right))).collect();
            pairs.sort_unstable();
            // SentencePiece gives the pieces of a user no score; the header's is llama.cpp's own.
            let score = if self.types[id] == USER_DEFINED { 0.0 } else { self.scores[id] };
            found.extend(pairs.into_iter().map(|(_, _, left, right)| (score, left, right)));
        }
        let letters = |text: &str| text.chars().count();
        // Stable: pairs of one rank stay in the order of their pieces' ids.
        found.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| letters(b.1).cmp(&letters(a.1))).then_with(|| letters(b.2).cmp(&letters(a.2)))
        });
        found.into_iter().map(|(_, left, right)| (left.to_owned(), right.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;
    use rand_chacha::rand_core::RngCore;

    /// llama.cpp's `llm_tokenizer_spm`: letters, then the best pair of neighbours again and again, the leftmost of equals.
    fn reference(pieces: &Pieces<'_>, text: &str) -> Vec<u32> {
        let text = format!("{}{}", if pieces.prefix { SPACE } else { "" }, text.replace(' ', SPACE));
        let id = |text: &str| pieces.texts.iter().position(|piece| *piece == text);
        let mut symbols: Vec<String> = text.chars().map(String::from).collect();
        loop {
            let joined = |at: usize| id(&format!("{}{}", symbols[at], symbols[at + 1])).map(|id| pieces.scores[id]);
            let mut best: Option<(f32, usize)> = None;
            for at in 0..symbols.len().saturating_sub(1) {
                if let Some(score) = joined(at).filter(|score| best.is_none_or(|(found, _)| *score > found)) {
                    best = Some((score, at));
                }
            }
            let Some((_, at)) = best else { break };
            let right = symbols.remove(at + 1);
            symbols[at] += &right;
        }
        let bytes = |symbol: &String| symbol.bytes().map(|byte| id(&format!("<0x{byte:02X}>")).unwrap() as u32).collect();
        symbols.iter().flat_map(|symbol| id(symbol).map_or_else(|| bytes(symbol), |id| vec![id as u32])).collect()
    }

    #[test]
    fn ids_are_those_of_the_greedy_rule() {
        let mut random = stream(7, 0);
        let mut below = |bound: u64| (random.next_u64() % bound) as usize;
        for round in 0..60 {
            let mut texts: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
            texts.extend((0..=255_u8).map(|byte| format!("<0x{byte:02X}>")));
            let (bytes, mut scores) = (texts.len(), vec![0.0; texts.len()]);
            let mut types = [vec![2, 3, 3], vec![6; 256]].concat();
            texts.extend([SPACE, "a", "b", "c", "你"].map(str::to_owned));
            // Pieces are made of pieces, as training makes them; later ones score less. None can be cut in two ways: there the
            // converter prefers a longer left piece and llama.cpp the leftmost place.
            let cuts = |texts: &[String], piece: &str| {
                let cuts = piece.char_indices().skip(1).map(|(at, _)| piece.split_at(at));
                cuts.filter(|(left, right)| [left, right].iter().all(|part| texts.iter().any(|text| text == *part))).count()
            };
            for _ in 0..80 {
                let pick = |at: usize| texts[bytes + at % (texts.len() - bytes)].clone();
                let piece = pick(below(1000)) + &pick(below(1000));
                if !texts.contains(&piece) && piece.chars().count() < 7 {
                    texts.push(piece);
                    if texts[bytes..].iter().any(|text| cuts(&texts, text) > 1) {
                        texts.pop();
                    }
                }
            }
            scores.extend((bytes..texts.len()).map(|id| -((id - bytes) as f32)));
            types.extend((bytes..texts.len()).map(|_| 1));
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let pieces = Pieces { texts: &texts, scores: &scores, types: &types, unknown: Some("<unk>"), prefix: round % 2 == 0 };
            let tokenizer = pieces.tokenizer().unwrap();
            for _ in 0..20 {
                let text: String = (0..=below(24)).map(|_| ['a', 'b', 'c', ' ', '你', 'é', '\n'][below(7)]).collect();
                let ids = tokenizer.encode(text.as_str(), false).unwrap().get_ids().to_vec();
                assert_eq!(ids, reference(&pieces, &text), "{text:?}");
                assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
            }
        }
    }

    /// As Gemma has them: in the published tokenizer.json runs of spaces are pieces of `▁` whose merges come first.
    #[test]
    fn spaces_of_user_defined_pieces_are_joined_before_anything_else() {
        let header = ["<unk>", "  ", SPACE, "a", "▁a"];
        let (types, scores) = ([2, USER_DEFINED, 1, 1, 1], [0.0, -1000.0, -3.0, -2.0, -1.0]);
        let texts = super::pieces(&header, &types);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokenizer =
            Pieces { texts: &texts, scores: &scores, types: &types, unknown: Some("<unk>"), prefix: false }.tokenizer().unwrap();
        let ids = |text: &str| tokenizer.encode(text, false).unwrap().get_ids().to_vec();
        assert_eq!([ids("  a"), ids("▁ a"), ids(" a"), ids("   a")], [vec![1, 3], vec![1, 3], vec![4], vec![1, 4]]);
    }

    #[test]
    fn scores_belong_to_tokens() {
        let pieces = |scores: &'static [f32]| Pieces { texts: &["a", "b"], scores, types: &[1, 1], unknown: None, prefix: false };
        pieces(&[0.0, 1.0]).tokenizer().unwrap();
        assert!(pieces(&[0.0]).tokenizer().unwrap_err().to_string().contains("2 tokens and 1 scores"));
        let (long, scores) = ("a".repeat(LONGEST + 1), [0.0]);
        let long = Pieces { texts: &[&long], scores: &scores, types: &[1], unknown: None, prefix: false };
        assert!(long.tokenizer().unwrap_err().to_string().contains("at most 1024"));
        assert!(pieces(&[0.0, f32::NAN]).tokenizer().unwrap_err().to_string().contains("not a number"));
    }
}
