//! The scripts: each changes what it changes in one step, or nothing.
//!
//! A script names all its keys, so that a cluster looks before it runs whether they are all there; and begins with a line
//! that has it refused as a whole where the server's memory is full or it may not write.

use redis::{Cmd, ToRedisArgs, Value};

use super::{fault::Fault, link::Link};

/// A script, by which the server calls it and as it is.
#[derive(Debug)]
pub(super) struct Script {
    hash: String,
    code: &'static str,
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self { hash: redis::Script::new(code).get_hash().to_owned(), code }
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call { script: self, keys: Vec::new(), args: Vec::new() }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) create: Script,
    pub(super) commit: Script,
    pub(super) order: Script,
    pub(super) remove: Script,
    pub(super) remove_damaged: Script,
    pub(super) claim: Script,
    pub(super) read_claims: Script,
    pub(super) share: Script,
    pub(super) read_members: Script,
    pub(super) cache_write: Script,
    pub(super) cache_clear: Script,
    pub(super) limits: Script,
    pub(super) list: Script,
    pub(super) prefixes: Script,
    pub(super) probe: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create: Script::new(include_str!("lua/create.lua")),
            commit: Script::new(include_str!("lua/commit.lua")),
            order: Script::new(include_str!("lua/order.lua")),
            remove: Script::new(include_str!("lua/remove.lua")),
            remove_damaged: Script::new(include_str!("lua/remove_damaged.lua")),
            claim: Script::new(include_str!("lua/claim.lua")),
            read_claims: Script::new(include_str!("lua/read_claims.lua")),
            share: Script::new(include_str!("lua/share.lua")),
            read_members: Script::new(include_str!("lua/read_members.lua")),
            cache_write: Script::new(include_str!("lua/cache_write.lua")),
            cache_clear: Script::new(include_str!("lua/cache_clear.lua")),
            limits: Script::new(include_str!("lua/limits.lua")),
            list: Script::new(include_str!("lua/list.lua")),
            prefixes: Script::new(include_str!("lua/prefixes.lua")),
            probe: Script::new(include_str!("lua/probe.lua")),
        }
    }
}

/// A call of a script.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Call<'_> {
    pub(super) fn key(mut self, key: String) -> Self {
        self.push_key(key);
        self
    }

    pub(super) fn push_key(&mut self, key: String) {
        self.keys.push(key);
    }

    pub(super) fn keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.keys.extend(keys);
        self
    }

    pub(super) fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.push(arg);
        self
    }

    pub(super) fn push(&mut self, arg: impl ToRedisArgs) {
        self.args.extend(arg.to_redis_args());
    }

    /// Marks a call of `commit` as one that may have been done already. A commit makes a version that no other one makes: by
    /// that the script knows it.
    pub(super) fn set_repeated(&mut self) {
        if let Some(mark) = self.args.first_mut() {
            *mark = b"1".to_vec();
        }
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        let keys: usize = self.keys.iter().map(String::len).sum();
        keys + self.args.iter().map(Vec::len).sum::<usize>()
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.args);
        command
    }

    /// Runs it, and has the server learn the script where it does not know it: it has not run then.
    pub(super) async fn run(&self, link: &Link) -> Result<Value, Fault> {
        let known = self.command("EVALSHA", &self.script.hash);
        match link.ask(&known, link.limit(self.size())).await {
            Err(fault) if fault.is_unknown_script() => self.teach(link).await,
            answer => answer,
        }
    }

    /// Runs it, and has the server learn the script.
    pub(super) async fn teach(&self, link: &Link) -> Result<Value, Fault> {
        link.ask(&self.command("EVAL", self.script.code), link.limit(self.size())).await
    }
}
