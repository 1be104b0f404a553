//! What must be true of values together, and of the machine on which the program is started.

use std::{net::SocketAddr, path::Path, time::Duration};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use windlass_pipeline::name;

use super::{
    Program, Servers, Settings, StoreMode,
    bus::BusTlsSettings,
    directories::Directories,
    programs::{GrpcTlsSettings, RuntimeKind, is_host_name},
    store::StoreTlsSettings,
    unknown::{Unknown, is_in},
};

/// The least time that is between two messages of a lease, so that one can be late without losing the partition.
const LEAST_LEASE: Duration = Duration::from_millis(500);

/// What is broken: keys, and what is wrong with them. Nothing is said that a value would decide of which nobody knows what it
/// is meant to be.
pub(super) fn broken(
    settings: &Settings,
    program: Program,
    unknown: &Unknown,
) -> Vec<(String, String)> {
    let mut rules = Rules { settings, unknown, broken: Vec::new() };
    rules.installation();
    rules.durations();
    rules.bus();
    rules.store();
    rules.log();
    match program {
        Program::Launcher => rules.launcher(),
        Program::Streamer => rules.directory("streamer.directory", &settings.streamer.directory),
        Program::Submitter | Program::Scheduler => {}
    }
    rules.grpc(program);
    rules.files(program);
    rules.broken
}

pub(super) struct Rules<'a> {
    pub(super) settings: &'a Settings,
    unknown: &'a Unknown,
    broken: Vec<(String, String)>,
}

impl Rules<'_> {
    pub(super) fn say(&mut self, key: &str, problem: impl Into<String>) {
        self.say_with(key, &[], problem);
    }

    /// Says what is wrong with a key as long as these have the values that they have.
    fn say_with(&mut self, key: &str, with: &[&str], problem: impl Into<String>) {
        if !with.iter().chain([&key]).any(|key| self.unknown.holds(key)) {
            self.broken.push((key.to_owned(), problem.into()));
        }
    }

    /// Whether nothing is wrong with any key of a section, as far as was looked at.
    pub(super) fn is_sound(&self, section: &str) -> bool {
        !self.unknown.holds_any_of(section)
            && !self.broken.iter().any(|(key, _)| is_in(key, section))
    }

    /// Whether the value of a key is known, and nothing is wrong with it, as far as was looked at.
    pub(super) fn is_right(&self, key: &str) -> bool {
        !self.unknown.holds(key) && !self.broken.iter().any(|(broken, _)| broken == key)
    }

    fn installation(&mut self) {
        let name = &self.settings.installation.name;
        let lawful = |at: usize, char: char| {
            char.is_ascii_lowercase() || at > 0 && (char.is_ascii_digit() || char == '-')
        };
        if !(1..=32).contains(&name.len())
            || !name.char_indices().all(|(at, char)| lawful(at, char))
        {
            self.say(
                "installation.name",
                "is no name; give 1 to 32 of a to z, 0 to 9 and `-`, the first one a letter",
            );
        }
    }

    fn durations(&mut self) {
        let Settings { bus, store, scheduler, shutdown, .. } = self.settings;
        let least = Duration::from_millis(1);
        for (key, duration, least) in [
            ("bus.ack_wait", bus.ack_wait, Duration::from_secs(1)),
            ("bus.publish_timeout", bus.publish_timeout, least),
            ("bus.streams.event.max_age", bus.streams.event.max_age, Duration::from_mins(1)),
            ("bus.streams.launch.max_age", bus.streams.launch.max_age, Duration::from_mins(1)),
            (
                "bus.streams.dead_letter.max_age",
                bus.streams.dead_letter.max_age,
                Duration::from_mins(1),
            ),
            ("store.response_timeout", store.response_timeout, least),
            ("scheduler.sweep", scheduler.sweep, Duration::from_secs(1)),
            ("scheduler.lease_time", scheduler.lease_time, LEAST_LEASE),
            ("shutdown.limit", shutdown.limit, least),
        ] {
            if duration < least {
                let least = super::duration::show(least);
                self.say(key, format!("is too short; give at least {least}"));
            }
        }
    }

    fn bus(&mut self) {
        let bus = &self.settings.bus;
        let streams = &bus.streams;
        for (key, stream) in [
            ("bus.streams.event.max_bytes", &streams.event),
            ("bus.streams.launch.max_bytes", &streams.launch),
            ("bus.streams.dead_letter.max_bytes", &streams.dead_letter),
        ] {
            if stream.max_bytes == 0 {
                self.say(key, "is 0, which NATS takes for no limit, and a stream without one fills the disk; give a size");
            }
        }
        self.schemes("bus.url", &bus.url, ["nats", "tls"]);
        self.one_of("bus.password", bus.password.is_some(), bus.password_file.is_some());
        self.one_of("bus.token", bus.token.is_some(), bus.token_file.is_some());
        let has_password = bus.password.is_some() || bus.password_file.is_some();
        match (&bus.user, has_password) {
            (Some(_), false) => self.say_with(
                "bus.user",
                &["bus.password", "bus.password_file"],
                "needs a password; set `bus.password_file`, too",
            ),
            (None, true) => self.say("bus.user", "is not set, but a password is; set it, too"),
            (Some(_), true) | (None, false) => {}
        }
        let ways = [
            ("bus.user", bus.user.is_some()),
            ("bus.token_file", bus.token.is_some() || bus.token_file.is_some()),
            ("bus.nkey_seed_file", bus.nkey_seed_file.is_some()),
            ("bus.credentials_file", bus.credentials_file.is_some()),
        ];
        let mut taken = ways.iter().filter(|(_, is_set)| *is_set);
        if let (Some((one, _)), Some((other, _))) = (taken.next(), taken.next()) {
            self.say(
                other,
                format!("is a second way to log in, besides `{one}`; keep one of them"),
            );
        }
        let BusTlsSettings { cert_file, key_file, .. } = &bus.tls;
        self.pair("bus.tls", cert_file.is_some(), key_file.is_some());
    }

    fn store(&mut self) {
        let store = &self.settings.store;
        self.schemes("store.url", &store.url, ["redis", "rediss"]);
        self.one_of("store.password", store.password.is_some(), store.password_file.is_some());
        let servers = store.url.as_slice();
        if servers.iter().any(|server| server.scheme() != servers[0].scheme()) {
            self.say(
                "store.url",
                "has servers with TLS and others without; give all the same scheme",
            );
        }
        if store.mode == StoreMode::Single && servers.len() > 1 {
            self.say_with(
                "store.url",
                &["store.mode"],
                "names several servers, which `store.mode` = `single` has no use for; name one, or set the mode",
            );
        }
        match (store.mode, &store.sentinel_master) {
            (StoreMode::Sentinel, None) => self.say(
                "store.sentinel_master",
                "is not set, and `store.mode` is `sentinel`; set it to the name that the sentinels know",
            ),
            (StoreMode::Single | StoreMode::Cluster, Some(_)) => self.say_with(
                "store.sentinel_master",
                &["store.mode"],
                "has a meaning for sentinels only; set `store.mode` to `sentinel`, or leave it out",
            ),
            (StoreMode::Sentinel, Some(_)) | (StoreMode::Single | StoreMode::Cluster, None) => {}
        }
        let StoreTlsSettings { ca_file, cert_file, key_file } = &store.tls;
        self.pair("store.tls", cert_file.is_some(), key_file.is_some());
        let has_tls = [ca_file, cert_file, key_file].into_iter().any(Option::is_some);
        if has_tls && servers[0].scheme() != "rediss" {
            self.say("store.url", "is without TLS, but `store.tls` is set; write `rediss://`");
        }
    }

    fn grpc(&mut self, program: Program) {
        let Some((listen_key, address)) = self.settings.grpc_listen(program) else { return };
        self.ports(listen_key, address, self.settings.admin_listen(program));
        let grpc = &self.settings.grpc;
        let GrpcTlsSettings { cert_file, key_file, client_ca_file } = &grpc.tls;
        self.pair("grpc.tls", cert_file.is_some(), key_file.is_some());
        let has_tls = cert_file.is_some() && key_file.is_some();
        if client_ca_file.is_some() && cert_file.is_none() && key_file.is_none() {
            self.say_with(
                "grpc.tls.client_ca_file",
                &["grpc.tls.cert_file", "grpc.tls.key_file"],
                "asks clients for certificates, which needs TLS; set `grpc.tls.cert_file` and `grpc.tls.key_file`, too",
            );
        }
        if has_tls && grpc.plaintext {
            self.say("grpc.plaintext", "is true, and certificates are set; keep one of them");
        }
        if !has_tls && !grpc.plaintext && !address.ip().is_loopback() {
            self.say_with(
                listen_key,
                &["grpc.plaintext", "grpc.tls.cert_file", "grpc.tls.key_file"],
                format!(
                    "`{address}` can be reached from other machines, and whoever can connect can run programs; set \
                     `grpc.tls.cert_file` and `grpc.tls.key_file`, or accept that with `grpc.plaintext` = true"
                ),
            );
        }
    }

    fn launcher(&mut self) {
        let launcher = &self.settings.launcher;
        if let Some(problem) = name::wrong_cluster_name(&launcher.cluster) {
            self.say("launcher.cluster", problem);
        }
        self.list_dirs();
        let form =
            "it names a directory, so give letters, digits, `-`, `_` and `.`, the first one no `.`";
        match (&launcher.host, launcher.runtime) {
            (Some(host), _) if !is_host_name(host) => {
                let advice = "or leave it out to take the machine's host name";
                self.say("launcher.host", format!("`{host}` is no name for a host; {form}, {advice}"));
            }
            (None, RuntimeKind::Process) => match launcher.host_name() {
                Ok(host) if is_host_name(&host) => {}
                Ok(host) => self.say_with(
                    "launcher.host",
                    &["launcher.runtime"],
                    format!("is not set, and `{host}`, which the machine is called, will not do; {form}"),
                ),
                Err(error) => self.say_with(
                    "launcher.host",
                    &["launcher.runtime"],
                    format!("is not set, and what the machine is called cannot be found out: {error}; set it"),
                ),
            },
            (Some(_), _) | (None, RuntimeKind::Kubernetes | RuntimeKind::Simulated) => {}
        }
        if launcher.runtime == RuntimeKind::Process {
            if !launcher.directory.is_absolute() {
                self.say_with(
                    "launcher.directory",
                    &["launcher.runtime"],
                    "is not absolute, and attempts must be found again by a program that is started elsewhere; write all of it",
                );
            }
            self.directory("launcher.directory", &launcher.directory);
        }
    }

    fn list_dirs(&mut self) {
        for path in self.settings.launcher.list_dirs.iter().flat_map(Directories::as_slice) {
            if !path.is_absolute() {
                let problem = format!("`{}` is not absolute; write all of it", path.display());
                self.say("launcher.list_dirs", problem);
            }
            self.directory("launcher.list_dirs", path);
        }
    }

    /// One that is not there yet may be made.
    fn directory(&mut self, key: &str, path: &Path) {
        if path.exists() && !path.is_dir() {
            self.say(key, format!("{} is no directory; name one", path.display()));
        }
    }

    /// The ports of one program.
    fn ports(&mut self, listen_key: &str, listen: SocketAddr, operators: Option<SocketAddr>) {
        if listen.port() != 0 && operators == Some(listen) {
            let admin_key = format!("{}.admin_listen", listen_key.trim_end_matches(".listen"));
            self.say_with(
                listen_key,
                &[&admin_key],
                format!("`{listen}` is that of `{admin_key}`, too; give one of them another port"),
            );
        }
    }

    fn log(&mut self) {
        let level = &self.settings.log.level;
        // A lone word that is no level would be taken for the name of a module, and silence all others.
        let is_word = |part: &&str| !part.contains(['=', '[']);
        let wrong =
            level.split(',').find(|part| is_word(part) && part.parse::<LevelFilter>().is_err());
        let problem = match (wrong, EnvFilter::try_new(level)) {
            (Some(word), _) => format!("`{word}` is no level"),
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => return,
        };
        let advice =
            "give a level such as `info`, or directives such as `info,windlass_scheduler=debug`";
        self.say("log.level", format!("{problem}; {advice}"));
    }

    fn schemes(&mut self, key: &str, servers: &Servers, lawful: [&str; 2]) {
        let wrong = servers.as_slice().iter().find(|server| !lawful.contains(&server.scheme()));
        if let Some(server) = wrong {
            let [one, other] = lawful;
            self.say(
                key,
                format!(
                    "the scheme of `{server}` is not spoken here; write `{one}://` or `{other}://`"
                ),
            );
        }
    }

    fn one_of(&mut self, key: &str, is_set: bool, has_file: bool) {
        if is_set && has_file {
            self.say(key, format!("is set, and so is `{key}_file`; keep one of them"));
        }
    }

    fn pair(&mut self, section: &str, has_cert: bool, has_key: bool) {
        let (present, missing) = match (has_cert, has_key) {
            (true, false) => ("cert_file", "key_file"),
            (false, true) => ("key_file", "cert_file"),
            (true, true) | (false, false) => return,
        };
        let missing = format!("{section}.{missing}");
        self.say_with(
            &format!("{section}.{present}"),
            &[&missing],
            format!("needs `{missing}`, which is not set; set both or none"),
        );
    }
}
