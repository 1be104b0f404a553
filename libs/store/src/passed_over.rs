//! What is passed over where many runs are read, since it cannot be read: nobody else is to suffer from it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use tracing::warn;

use crate::StoreError;

/// How many are remembered; any more are not told.
const MOST: usize = 1000;

/// What was passed over: each is told once as long as the program runs.
#[derive(Debug, Default)]
pub(crate) struct PassedOver(Mutex<BTreeSet<String>>);

impl PassedOver {
    /// What was read, or none where it is damaged.
    pub(crate) fn unless_damaged<T>(
        &self,
        what: &impl ToString,
        read: Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let Err(StoreError::Damaged(why)) = read else { return read };
        self.tell(what, &why);
        Ok(None)
    }

    /// Tells that something is passed over.
    pub(crate) fn tell(&self, what: &impl ToString, why: &str) {
        let what = what.to_string();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST && told.insert(what.clone()) {
            warn!(
                what,
                why,
                "it is damaged, and passed over wherever runs are listed: restore it from a copy; or, if it is a run, delete it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_none_and_any_other_outcome_stays() {
        let passed_over = PassedOver::default();
        let outcome = |read| passed_over.unless_damaged(&"a run", read);
        assert_eq!(outcome(Ok(Some(1))), Ok(Some(1)));
        assert_eq!(outcome(Ok(None)), Ok(None));
        assert_eq!(outcome(Err(StoreError::Damaged("cut off".into()))), Ok(None));
        let away = StoreError::Unavailable("away".into());
        assert_eq!(outcome(Err(away.clone())), Err(away));
    }

    #[test]
    fn however_much_is_damaged_it_takes_up_no_more_room() {
        let passed_over = PassedOver::default();
        for number in 0..2 * MOST {
            passed_over.tell(&number, "cut off");
        }
        assert_eq!(passed_over.0.lock().unwrap().len(), MOST);
    }
}
