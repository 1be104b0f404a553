//! Values for conditions.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use windlass_pipeline::{
    condition::{Condition, EvaluationError},
    template::{Reference, Values},
};

/// Values as a JSON object of names as they are written in conditions.
pub(crate) struct Known(pub(crate) Json);

impl Values for Known {
    fn value(&self, reference: Reference<'_>) -> Option<Cow<'_, Json>> {
        let name = reference.to_string();
        self.0.get(name.trim_start_matches("${{ ").trim_end_matches(" }}")).map(Cow::Borrowed)
    }
}

pub(crate) fn known() -> Known {
    Known(json!({
        "params.count": 3,
        "params.rate": 0.5,
        "params.whole": 2.0,
        "params.large": 9_007_199_254_740_993_i64,
        "params.beyond": u64::MAX,
        "params.mode": "full",
        "params.word": "πέντε",
        "params.flag": true,
        "params.nothing": null,
        "params.list": [1, 2.5, 3],
        "params.empty": [],
        "params.conf": {"rate": 0.1, "deep": {"x-y": [{"z": 7}]}},
        "steps.load.outputs.rows": 100,
        "steps.load.state": "succeeded",
        "steps.clean-up.outputs.size": 5,
        "steps.clean-up.state": "failed",
        "item": {"name": "a", "size": 10, "tags": ["x", "y"]},
        "index": 4,
        "loops.a-b.item": [7, 8],
        "loops.a-b.index": 1,
        "run.id": "run_1",
        "run.state": "failed",
    }))
}

pub(crate) fn evaluate(text: &str) -> Result<bool, EvaluationError> {
    Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&known())
}
