//! Steps that run a program.

use std::path::{Path, PathBuf};

use windlass_proto::v1::{self, step::Work};

use super::{Converter, duration};
use crate::{
    check::{Place, ViolationReason},
    file::{
        cache::{CacheEntry, CacheKeyEntry},
        collection::{Named, Text, Words},
        env::EnvEntry,
        format,
        outputs::OutputsEntry,
        pod,
        quantity::Memory,
    },
    template::{self, Template},
};

/// A step's own variables first, then those of the defaults that it does not set itself. `file` is where both stand.
fn env(own: &Named<EnvEntry>, defaults: &Named<EnvEntry>, file: &str) -> Vec<v1::EnvVar> {
    let is_own = |name: &String| own.0.iter().any(|(own, _)| own == name);
    let others = defaults.0.iter().filter(|(name, _)| !is_own(name));
    own.0.iter().chain(others).map(|(name, entry)| entry.variable(name, file)).collect()
}

fn cache(entry: &CacheEntry) -> Option<Box<v1::Cache>> {
    let CacheEntry::On(cache) = entry else { return None };
    Some(Box::new(v1::Cache {
        key: cache.key.as_ref().map(|CacheKeyEntry(texts)| texts.clone()).unwrap_or_default(),
        max_age: duration(cache.max_age),
        salt: cache.salt.as_ref().map(|Text(salt)| salt.clone()).unwrap_or_default(),
    }))
}

impl Converter<'_, '_> {
    /// Adds the program to what a step has in any case.
    pub(super) fn program(
        &mut self,
        place: Place<'_>,
        step: format::Step,
        common: v1::Step,
    ) -> v1::Step {
        let defaults = self.defaults;
        let resources = step.resources.or(defaults.resources);
        let retry = step.retry.as_ref().or(defaults.retry.as_ref());
        let retry = retry.map(|retry| Box::new(self.retry_policy(place, retry)));
        let outputs = match step.outputs {
            OutputsEntry::Names(names) => names,
            OutputsEntry::References(_) => {
                self.refuse(
                    place,
                    ViolationReason::Misplaced,
                    "outputs",
                    "what a program writes are names; write `outputs` as a list of them",
                );
                Vec::new()
            }
        };
        let has_args = !step.args.0.is_empty();
        let given_dir = step.working_dir.as_deref().or(defaults.working_dir.as_deref());
        let task = v1::Task {
            command: self.command(place, step.run, step.command, has_args),
            args: step.args.0,
            env: env(&step.env, &defaults.env, &self.context.sources.get(self.file).text),
            working_dir: self.working_dir(place, given_dir),
            termination_grace: duration(step.termination_grace.or(defaults.termination_grace)),
            resources: resources.map(|resources| v1::Resources {
                memory_bytes: resources.memory.map_or(0, |Memory(bytes)| bytes),
            }),
            cache: step.cache.as_ref().or(defaults.cache.as_ref()).and_then(cache),
            limits: step.limits.0,
            image: step.image.or_else(|| defaults.image.clone()).unwrap_or_default(),
            pod: pod::merged(step.pod.as_deref(), defaults.pod.as_deref()),
            cluster: step.cluster.or_else(|| defaults.cluster.clone()).unwrap_or_default(),
        };
        v1::Step {
            retry,
            startup_timeout: duration(step.startup_timeout.or(defaults.startup_timeout)),
            timeout: duration(step.timeout.or(defaults.timeout)),
            outputs,
            work: Some(Work::Task(Box::new(task))),
            ..common
        }
    }

    /// The program and its first arguments, given as one of the two.
    fn command(
        &mut self,
        place: Place<'_>,
        script: Option<String>,
        command: Option<Words>,
        has_args: bool,
    ) -> Vec<String> {
        let Some(script) = script else {
            return command.unwrap_or_default().0;
        };
        self.refuse_references(place, &script);
        let mut command = vec!["/bin/sh".to_owned(), "-euc".to_owned(), script];
        if has_args {
            // The first argument after the script is the script's own name, `$0`.
            command.push("run".to_owned());
        }
        command
    }

    fn refuse_references(&mut self, place: Place<'_>, script: &str) {
        let is_plain =
            Template::parse(script).is_ok_and(|script| script.references().next().is_none());
        if !is_plain {
            let message = "`run` may not hold `${{ … }}`, for the shell would run the value as code; put the reference \
                           into `env` and use it as \"$NAME\", or write `$${{` for a plain `${{`";
            self.refuse(place, ViolationReason::InvalidReference, "run", message);
        }
    }

    /// Where the step starts: below the directory of the first file, unless it says where absolutely or by reference.
    fn working_dir(&mut self, place: Place<'_>, given: Option<&str>) -> String {
        let given = given.unwrap_or_default();
        let Some(base) = self.context.base_dir else {
            return given.to_owned();
        };
        if given.starts_with("${{") {
            return given.to_owned();
        }
        let Some(base) = base.to_str() else {
            let message =
                "runs in the directory of the file, whose path is not UTF-8; rename that directory";
            self.refuse(place, ViolationReason::InvalidText, "working_dir", message);
            return String::new();
        };
        // The components leave out what is `.`, and an absolute path replaces the base.
        let joined: PathBuf =
            Path::new(&*template::escape(base)).join(given).components().collect();
        joined.to_str().unwrap_or_default().to_owned()
    }
}
