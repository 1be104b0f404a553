//! Following a run to its end: its changes and lines to a view, and signals to the run.

mod cancel;
mod causes;
mod order;
mod summary;
mod trouble;

use std::{mem::discriminant, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use windlass_client::{
    Client, ClientError, LogEvent, LogLines, RunWatch, WatchEvent,
    v1::{Run, StepState, StreamLogsRequest},
};
use windlass_service::signal::EndSignals;

use self::{
    cancel::{Answer, Cancel},
    causes::Failures,
    order::{Item, Order},
    trouble::Trouble,
};
pub(crate) use self::{causes::tells_of_failure, order::StepChange};
use crate::{exit::Exit, failure::Failure, render::words, view::View, warnings::Warnings};

/// How often what changes by time alone is shown anew.
const TICK: Duration = Duration::from_millis(125);
/// How long further lines are waited for after the run has ended.
const LAST_LINES: Duration = Duration::from_secs(10);
/// How long the answer to an order is waited for by somebody who wants to leave at once: longer than a server that is well
/// keeps it back, which is until the order is followed, or 2 s.
const LAST_ANSWER: Duration = Duration::from_secs(3);
/// Running steps that are named when they are left behind.
const NAMED: usize = 5;

/// What Ctrl-C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// The run is cancelled; a second one leaves at once.
    Cancel,
    /// The run is cancelled without waiting for one; the first one leaves at once.
    Leave,
    /// The run goes on without us.
    Detach,
}

/// How a run is followed.
#[derive(Debug)]
pub(crate) struct Manner {
    pub(crate) on_signal: OnSignal,
    /// Whether what steps write is shown.
    pub(crate) with_logs: bool,
    /// What is told beside what the run itself tells.
    pub(crate) warnings: Warnings,
}

/// How following a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The run has ended, and this tells how.
    Ended(Exit),
    /// A signal asked to leave before that.
    Left {
        /// Whether the order to cancel the run was taken.
        cancelled: bool,
    },
}

impl Followed {
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Ended(exit) => exit,
            Self::Left { .. } => Exit::Left,
        }
    }
}

/// Follows a run until it has ended, or is left.
pub(crate) async fn follow(
    client: &Client,
    run: &Run,
    view: &mut dyn View,
    signals: &mut EndSignals,
    manner: &mut Manner,
) -> Result<Followed, Failure> {
    let total = run.step_counts.unwrap_or_default().total;
    let watch = if view.wants_steps(total) {
        client.watch(&run.run_id)
    } else {
        client.watch_run_only(&run.run_id)
    };
    // What is followed tells of interruptions itself, and knows where.
    let silent = &client.clone().without_notice();
    let request =
        StreamLogsRequest { run_id: run.run_id.clone(), follow: true, ..Default::default() };
    let logs = manner.with_logs.then(|| client.logs(request));
    let cancel = (manner.on_signal == OnSignal::Leave).then(|| Cancel::new(client, &run.run_id));
    let mut follower = Follower {
        client: silent,
        run_id: &run.run_id,
        watch,
        logs,
        last_lines: None,
        order: Order::default(),
        failures: Failures::default(),
        manner,
        cancel,
        trouble: Trouble::default(),
        interrupted: false,
    };
    let end = follower.follow(view, signals).await?;
    if let Followed::Ended(_) = end {
        let summary = summary::collect(client, follower.watch.run().clone()).await?;
        view.end(&summary).map_err(Failure::Output)?;
    }
    Ok(end)
}

struct Follower<'a> {
    client: &'a Client,
    run_id: &'a str,
    watch: RunWatch,
    /// None once there are no more lines.
    logs: Option<LogLines>,
    /// Until when lines are waited for; none while the run goes on.
    last_lines: Option<Instant>,
    order: Order,
    failures: Failures,
    manner: &'a mut Manner,
    /// Some once the run is to be cancelled.
    cancel: Option<Cancel<'a>>,
    trouble: Trouble,
    /// Whether the server is away.
    interrupted: bool,
}

impl Follower<'_> {
    async fn follow(
        &mut self,
        view: &mut dyn View,
        signals: &mut EndSignals,
    ) -> Result<Followed, Failure> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.last_lines.is_none() || self.logs.is_some() {
            tokio::select! {
                event = self.watch.next(), if self.last_lines.is_none() => {
                    self.changed(event?, view).await?;
                }
                event = next_lines(&mut self.logs) => self.lines(event, view),
                () = at(self.last_lines) => self.logs = None,
                () = signals.next() => {
                    self.show_all(view)?;
                    if let Some(left) = self.signalled(view).await {
                        return Ok(left);
                    }
                }
                answer = answer(&mut self.cancel) => self.answered(answer, view),
                warning = self.manner.warnings.next() => self.warned(&warning, view),
                _ = ticks.tick() => {
                    self.tell_recovery(view);
                    view.tick(self.watch.run(), self.watch.steps()).map_err(Failure::Output)?;
                }
            }
            self.show_due(view)?;
        }
        self.show_all(view)?;
        self.tell_recovery(view);
        Ok(Followed::Ended(Exit::of_run(self.watch.run().state())))
    }

    async fn changed(
        &mut self,
        event: Option<WatchEvent>,
        view: &mut dyn View,
    ) -> Result<(), Failure> {
        match event {
            None => self.last_lines = Some(Instant::now() + LAST_LINES),
            Some(WatchEvent::Changed(change)) => {
                if std::mem::take(&mut self.interrupted) {
                    view.note("the server answers again");
                }
                self.trouble.run_changed();
                self.take_in(&change.steps, view).await?;
                view.tick(self.watch.run(), self.watch.steps()).map_err(Failure::Output)?;
            }
            Some(WatchEvent::Interrupted { error, .. }) => {
                if !std::mem::replace(&mut self.interrupted, true) {
                    view.note(&format!("{error}; trying again until it answers"));
                }
            }
        }
        Ok(())
    }

    async fn take_in(&mut self, changed: &[u32], view: &mut dyn View) -> Result<(), Failure> {
        let steps = changed.iter().filter_map(|index| self.watch.steps().get(*index as usize));
        let mut causes = self.failures.causes(self.client, self.run_id, steps).await;
        let (now, clock) = (Instant::now(), Timestamp::now());
        self.order.run(self.watch.run(), now);
        // What is more than can be held is told piece by piece.
        for changed in changed.chunks(order::MOST) {
            for index in changed {
                if let Some(step) = self.watch.steps().get(*index as usize) {
                    self.order.step(step, causes.remove(index), now, clock);
                }
            }
            self.show_due(view)?;
        }
        Ok(())
    }

    fn show_due(&mut self, view: &mut dyn View) -> Result<(), Failure> {
        if self.logs.is_none() {
            return self.show_all(view);
        }
        let items = self.order.take_due(Instant::now(), self.last_lines.is_some());
        self.show(&items, view)
    }

    fn show_all(&mut self, view: &mut dyn View) -> Result<(), Failure> {
        let items = self.order.take_all();
        self.show(&items, view)
    }

    /// Shows neighbours of one kind together.
    fn show(&self, items: &[Item], view: &mut dyn View) -> Result<(), Failure> {
        for group in items.chunk_by(|one, next| discriminant(one) == discriminant(next)) {
            let (mut steps, mut lines) = (Vec::new(), Vec::new());
            for item in group {
                match item {
                    Item::Run(run) => view.run_changed(run).map_err(Failure::Output)?,
                    Item::Step(change) => steps.push(&**change),
                    Item::Line(line) => lines.push(&**line),
                }
            }
            if !steps.is_empty() {
                view.steps_changed(self.watch.run(), &steps).map_err(Failure::Output)?;
            }
            if !lines.is_empty() {
                view.lines(&lines).map_err(Failure::Output)?;
            }
        }
        Ok(())
    }

    fn lines(&mut self, event: Result<Option<LogEvent>, ClientError>, view: &mut dyn View) {
        match event {
            Ok(Some(LogEvent::Lines(lines))) => {
                let now = Instant::now();
                for line in lines {
                    self.order.line(line, now);
                }
                self.last_lines = self.last_lines.map(|_| now + LAST_LINES);
            }
            // The watch has told.
            Ok(Some(LogEvent::Interrupted { .. })) => {}
            Ok(None) => self.logs = None,
            Err(error) => {
                view.note(&format!("lines of steps are not shown from here on: {error}"));
                self.logs = None;
            }
        }
    }

    /// Does what a signal asks for. Something if that is to leave.
    async fn signalled(&mut self, view: &mut dyn View) -> Option<Followed> {
        if self.manner.on_signal == OnSignal::Detach {
            let run = self.run_id;
            view.note(&format!(
                "run {run} goes on: see `windlass watch {run}`, or end it by `windlass cancel {run}`"
            ));
            return Some(Followed::Left { cancelled: false });
        }
        if let Some(cancel) = &mut self.cancel {
            if !cancel.taken && !cancel.told {
                // It has just been given: that moment decides whether the steps are left to themselves.
                let _ = timeout(LAST_ANSWER, cancel.answer()).await;
            }
            let cancelled = cancel.taken;
            view.note(&self.left_behind());
            return Some(Followed::Left { cancelled });
        }
        self.cancel = Some(Cancel::new(self.client, self.run_id));
        view.note("cancelling; press Ctrl-C again to leave at once");
        None
    }

    fn answered(&mut self, answer: Answer, view: &mut dyn View) {
        let told = self.cancel.as_mut().is_some_and(|cancel| {
            std::mem::replace(&mut cancel.told, matches!(answer, Answer::NotNow(_)))
        });
        match answer {
            Answer::Taken if self.manner.on_signal == OnSignal::Leave => {
                view.note("the output cannot be written any more, so the run is cancelled");
            }
            Answer::Taken if told => view.note("the run is being cancelled now"),
            Answer::NotNow(error) if !told => view.note(&format!(
                "the run is not cancelled yet: {error}; the order is given again until it is taken"
            )),
            Answer::Taken | Answer::Ended | Answer::NotNow(_) => {}
            Answer::Refused(error) => {
                view.note(&format!("the run was not cancelled: {error}"));
                // Another signal tries again.
                self.cancel = None;
            }
        }
    }

    fn warned(&mut self, warning: &str, view: &mut dyn View) {
        if self.trouble.warned(warning, Instant::now()) {
            view.note(&format!("warning: {warning}"));
        }
    }

    fn tell_recovery(&mut self, view: &mut dyn View) {
        if self.trouble.is_over(Instant::now(), self.last_lines.is_some()) {
            view.note("the run goes on");
        }
    }

    /// What still runs when we leave before the end.
    fn left_behind(&self) -> String {
        let counts = self.watch.run().step_counts.unwrap_or_default();
        // What was ordered may run, too: that it does is only known once it is stored.
        let running = (counts.queued + counts.running + counts.stopping) as usize;
        if running == 0 {
            return "left; no step is running".to_owned();
        }
        let busy = self.watch.steps().iter();
        let busy = busy.filter(|step| {
            let state = step.state();
            (StepState::Queued..=StepState::Stopping).contains(&state)
        });
        let names: Vec<_> = busy.map(|step| step.name.as_str()).take(NAMED).collect();
        let more = if running > names.len() { ", …" } else { "" };
        let names =
            if names.is_empty() { String::new() } else { format!(" ({}{more})", names.join(", ")) };
        let steps = words::steps(running);
        if self.cancel.as_ref().is_none_or(|cancel| !cancel.taken) {
            return format!(
                "left while {steps}{names} had not ended, and the run was not cancelled: what runs goes on to its end"
            );
        }
        format!(
            "left while {steps}{names} had not ended; what was told to stop is killed when its grace is over"
        )
    }
}

/// Waits for lines; for ever if there are none to come.
async fn next_lines(logs: &mut Option<LogLines>) -> Result<Option<LogEvent>, ClientError> {
    match logs {
        Some(logs) => logs.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for an answer to the order to cancel; for ever if none was given.
async fn answer(cancel: &mut Option<Cancel<'_>>) -> Answer {
    match cancel {
        Some(cancel) => cancel.answer().await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
