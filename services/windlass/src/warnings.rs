//! What the services of this process warn of, for a person who sees no log.

use std::fmt::{self, Write as _};

use tokio::sync::mpsc;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// Warnings that may wait; the others of a flood say nothing else.
const WAITING: usize = 64;

/// Warnings, as they come.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Option<mpsc::Receiver<String>>);

impl Warnings {
    /// Takes all warnings of this process, which then go nowhere else.
    pub(crate) fn take() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        // An error means that somebody else has taken them.
        match tracing_subscriber::registry().with(Forward(sender)).try_init() {
            Ok(()) => Self(Some(receiver)),
            Err(_) => Self(None),
        }
    }

    /// Waits for the next one; for ever if there is none to come.
    pub(crate) async fn next(&mut self) -> String {
        match &mut self.0 {
            Some(receiver) => match receiver.recv().await {
                Some(warning) => warning,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

/// Sends warnings and errors of this project's own code on their way.
struct Forward(mpsc::Sender<String>);

impl<S: Subscriber> Layer<S> for Forward {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("windlass")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        // Where too many wait, those tell enough.
        let _ = self.0.try_send(words.told());
    }
}

/// What an event says: its message, and the error that it came of.
#[derive(Debug, Default)]
struct Words {
    message: String,
    error: String,
}

impl Words {
    /// The error says what to do, so it comes first.
    fn told(self) -> String {
        let Self { message, error } = self;
        if error.is_empty() { message } else { format!("{error} ({message})") }
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let place = match field.name() {
            "message" => &mut self.message,
            "error" => &mut self.error,
            _ => return,
        };
        // Writing to a text cannot fail.
        let _ = write!(place, "{value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn warnings_of_this_project_are_told_with_their_error_first_and_nothing_else_is() {
        let (sender, receiver) = mpsc::channel(WAITING);
        let subscriber = tracing_subscriber::registry().with(Forward(sender));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("all is well");
            tracing::warn!(target: "h2", "somebody else's");
            tracing::warn!(partition = 3, error = %"the disk is full; make room", "it waits");
            tracing::error!("it has ended");
        });
        let mut warnings = Warnings(Some(receiver));
        assert_eq!(warnings.next().await, "the disk is full; make room (it waits)");
        assert_eq!(warnings.next().await, "it has ended");
    }
}
