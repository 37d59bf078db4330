//! The keys that each harness writes: what is read, what cannot change a verdict, and what is refused.
//!
//! From lm-eval 0.4.13 (`evaluator.py`), evalscope 1.14.1 (`api/evaluator/cache.py`, `api/metric/scorer.py`) and inspect_ai
//! 0.3.285 (`log/_log.py`, `scorer/_metric.py`), with what earlier versions wrote under other names.

use crate::keys::Rule::{self, Harmless, Refused, Used};
use crate::keys::Table;

const COPY: Rule = Harmless("repeats what other keys hold");
const HISTORY: Rule = Harmless("how the answer came about; the answer is read");
const COST: Rule = Harmless("time and tokens");
const NAME: Rule = Harmless("names or describes the evaluation");
const REMEDY: &str = "this version of the harness is not known; import its log with a Ballast that knows it";

/// A line of lm-eval's, less its metrics.
pub(super) const LM_EVAL: Table = Table {
    what: "the line",
    remedy: "it is neither one of lm-eval's keys nor one of the line's metrics",
    rules: &[
        ("doc_id", Used),
        ("doc", Used),
        ("target", Used),
        ("arguments", Used),
        ("resps", Used),
        ("filtered_resps", Used),
        ("filter", Used),
        ("metrics", Used),
        ("doc_hash", COPY),
        ("prompt_hash", COPY),
        ("target_hash", COPY),
    ],
};

/// A review of evalscope's.
pub(super) const REVIEW: Table = Table {
    what: "the review",
    remedy: REMEDY,
    rules: &[
        ("index", Used),
        ("input", Used),
        ("target", Used),
        ("messages", Used),
        ("sample_score", Used),
        ("agent_trace", HISTORY),
        ("trajectory", HISTORY),
        ("metadata", NAME),
        ("model", NAME),
    ],
};

/// Its `sample_score`.
pub(super) const SAMPLE_SCORE: Table = Table {
    what: "sample_score",
    remedy: REMEDY,
    rules: &[
        ("score", Used),
        ("sample_id", Used),
        ("group_id", Used),
        ("sample_metadata", Used),
        ("generation_index", Harmless("repeats of an item share its group; the first one counts")),
    ],
};

/// Its `sample_score.score`.
pub(super) const SCORE: Table = Table {
    what: "sample_score.score",
    remedy: REMEDY,
    rules: &[
        ("value", Used),
        ("status", Used),
        ("extracted_prediction", Used),
        ("prediction", Used),
        ("explanation", Used),
        ("main_score_name", Used),
        ("metadata", NAME),
        ("judge_summary", Harmless("how the judge came to the score; its status is read")),
    ],
};

/// The head of a log of Inspect's.
pub(super) const LOG: Table = Table {
    what: "the log",
    remedy: REMEDY,
    rules: &[
        ("version", Used),
        ("status", Used),
        ("eval", Used),
        ("invalidated", Used),
        ("samples", Used),
        ("plan", NAME),
        ("results", Harmless("is computed from the samples")),
        ("reductions", Harmless("is computed from the samples")),
        ("stats", COST),
        ("error", Harmless("stands where the status is not success, which is refused")),
        ("log_updates", Harmless("tags and notes added later")),
        ("config_updates", Harmless("how many samples ran at once")),
        ("tags", NAME),
        ("metadata", NAME),
        ("location", NAME),
        ("etag", NAME),
    ],
};

/// A sample of Inspect's.
pub(super) const SAMPLE: Table = Table {
    what: "the sample",
    remedy: REMEDY,
    rules: &[
        ("id", Used),
        ("epoch", Used),
        ("input", Used),
        ("choices", Used),
        ("target", Used),
        ("messages", Used),
        ("output", Used),
        ("scores", Used),
        ("error", Used),
        ("attachments", Used),
        ("limit", Used),
        ("invalidation", Used),
        ("score", Refused("it is of a version before scorers had names: rewrite the log with `inspect log convert`")),
        ("description", NAME),
        ("metadata", NAME),
        ("uuid", NAME),
        ("sandbox", HISTORY),
        ("files", HISTORY),
        ("setup", HISTORY),
        ("store", HISTORY),
        ("events", HISTORY),
        ("events_data", HISTORY),
        ("timelines", HISTORY),
        ("transcript", HISTORY),
        ("error_retries", HISTORY),
        ("model_fallbacks", Refused("another model answered in part: run the sample again without fallbacks")),
        ("turn_count", COST),
        ("model_usage", COST),
        ("role_usage", COST),
        ("started_at", COST),
        ("completed_at", COST),
        ("total_time", COST),
        ("working_time", COST),
        ("token_limit", Harmless("`limit` says whether it was met")),
        ("token_limit_type", Harmless("`limit` says whether it was met")),
        ("token_limit_usage", Harmless("`limit` says whether it was met")),
        ("message_limit", Harmless("`limit` says whether it was met")),
        ("time_limit", Harmless("`limit` says whether it was met")),
        ("working_limit", Harmless("`limit` says whether it was met")),
        ("cost_limit", Harmless("`limit` says whether it was met")),
    ],
};

/// A score of Inspect's.
pub(super) const INSPECT_SCORE: Table = Table {
    what: "the score",
    remedy: REMEDY,
    rules: &[
        ("value", Used),
        ("answer", Used),
        ("explanation", Used),
        ("reason", Harmless("why there is no score, where there is none")),
        ("metadata", NAME),
        ("history", Harmless("earlier scores; the last one is read")),
        ("sample_id", COPY),
    ],
};
