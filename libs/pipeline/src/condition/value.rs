//! Values of names as values of CEL.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env,
    common::{
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString},
        value::Val,
    },
};
use serde_json::Value as Json;

use super::name::Name;

/// The standard functions.
static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// A part of a name: what lies in it, and its value where the name ends.
#[derive(Default)]
struct Part<'v> {
    inner: BTreeMap<&'v str, Part<'v>>,
    value: Option<&'v Json>,
}

/// What the interpreter finds when it looks names up. Of a name without a value all but the last part is there, so that
/// `has` says that it is absent.
pub(super) fn context<'v>(
    values: impl Iterator<Item = (&'v Name, Option<&'v Json>)>,
) -> Context<'v, 'v> {
    let mut all = Part::default();
    for (name, value) in values {
        let mut path = name.path();
        let last = path.pop();
        let parent =
            path.into_iter().fold(&mut all, |part, name| part.inner.entry(name).or_default());
        if let (Some(last), Some(_)) = (last, value) {
            parent.inner.entry(last).or_default().value = value;
        }
    }
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    for (name, part) in all.inner {
        context.add_variable_as_val(name, part.into_cel());
    }
    context
}

impl<'v> Part<'v> {
    fn into_cel(self) -> Box<dyn Val + 'v> {
        match self.value {
            Some(value) => to_cel(value),
            None => object(self.inner.into_iter().map(|(name, part)| (name, part.into_cel()))),
        }
    }
}

/// Texts are borrowed. Numbers without a fraction are `int` as far as they are of 64 bits, all others are `double`.
fn to_cel(value: &Json) -> Box<dyn Val + '_> {
    match value {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Box::new(CelInt::from(whole)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(text) => Box::new(CelString::from(text.as_str())),
        Json::Array(entries) => {
            Box::new(CelList::from(entries.iter().map(to_cel).collect::<Vec<_>>()))
        }
        Json::Object(fields) => {
            object(fields.iter().map(|(key, value)| (key.as_str(), to_cel(value))))
        }
    }
}

fn object<'v>(fields: impl Iterator<Item = (&'v str, Box<dyn Val + 'v>)>) -> Box<dyn Val + 'v> {
    let fields: HashMap<CelMapKey<'v>, _> =
        fields.map(|(key, value)| (CelMapKey::from(key), value)).collect();
    Box::new(CelMap::from(fields))
}
