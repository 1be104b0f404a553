//! What must be true of values together, and of the files they name.

use std::time::Duration;

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{
    Program, Servers, Settings, StoreMode,
    bus::BusTlsSettings,
    programs::{GrpcTlsSettings, RuntimeKind},
    store::StoreTlsSettings,
};

/// The least time that is between two messages of a lease, so that one can be late without losing the partition.
const LEAST_LEASE: Duration = Duration::from_millis(500);

/// What is broken: keys, and what is wrong with them.
pub(super) fn broken(settings: &Settings, program: Program) -> Vec<(String, String)> {
    let mut rules = Rules { settings, broken: Vec::new() };
    rules.installation();
    rules.durations();
    rules.bus();
    rules.store();
    rules.log();
    if program == Program::Launcher {
        rules.launcher();
    }
    rules.grpc(program);
    if rules.broken.is_empty() {
        // Files of which the settings are contradictory are better not read.
        rules.files(program);
    }
    rules.broken
}

struct Rules<'a> {
    settings: &'a Settings,
    broken: Vec<(String, String)>,
}

impl Rules<'_> {
    fn say(&mut self, key: &str, problem: impl Into<String>) {
        self.broken.push((key.to_owned(), problem.into()));
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
        self.schemes("bus.url", &bus.url, ["nats", "tls"]);
        self.one_of("bus.password", bus.password.is_some(), bus.password_file.is_some());
        self.one_of("bus.token", bus.token.is_some(), bus.token_file.is_some());
        let has_password = bus.password.is_some() || bus.password_file.is_some();
        match (&bus.user, has_password) {
            (Some(_), false) => {
                self.say("bus.user", "needs a password; set `bus.password_file`, too");
            }
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
            self.say(
                "store.url",
                "names several servers, which `store.mode` = `single` has no use for; name one, or set the mode",
            );
        }
        match (store.mode, &store.sentinel_master) {
            (StoreMode::Sentinel, None) => self.say(
                "store.sentinel_master",
                "is not set, and `store.mode` is `sentinel`; set it to the name that the sentinels know",
            ),
            (StoreMode::Single | StoreMode::Cluster, Some(_)) => self.say(
                "store.sentinel_master",
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
        let grpc = &self.settings.grpc;
        let GrpcTlsSettings { cert_file, key_file, client_ca_file } = &grpc.tls;
        self.pair("grpc.tls", cert_file.is_some(), key_file.is_some());
        let has_tls = cert_file.is_some() && key_file.is_some();
        if client_ca_file.is_some() && cert_file.is_none() && key_file.is_none() {
            self.say(
                "grpc.tls.client_ca_file",
                "asks clients for certificates, which needs TLS; set `grpc.tls.cert_file` and `grpc.tls.key_file`, too",
            );
        }
        if has_tls && grpc.plaintext {
            self.say("grpc.plaintext", "is true, and certificates are set; keep one of them");
        }
        if !has_tls && !grpc.plaintext && !address.ip().is_loopback() {
            self.say(
                listen_key,
                format!(
                    "`{address}` can be reached from other machines, and whoever can connect can run programs; set \
                     `grpc.tls.cert_file` and `grpc.tls.key_file`, or accept that with `grpc.plaintext` = true"
                ),
            );
        }
    }

    fn launcher(&mut self) {
        let launcher = &self.settings.launcher;
        if launcher.host.as_deref().is_some_and(|host| host.trim().is_empty()) {
            self.say("launcher.host", "is empty; leave it out to take the machine's host name");
        }
        if launcher.runtime == RuntimeKind::Process && !launcher.directory.is_absolute() {
            self.say(
                "launcher.directory",
                "is not absolute, and attempts must be found again by a program that is started elsewhere; write all of it",
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

    /// Reads all files that the program will need.
    fn files(&mut self, program: Program) {
        let Settings { bus, store, grpc, .. } = self.settings;
        if let Err(error) = bus.authentication() {
            let files = [
                ("bus.password_file", &bus.password_file),
                ("bus.token_file", &bus.token_file),
                ("bus.nkey_seed_file", &bus.nkey_seed_file),
                ("bus.credentials_file", &bus.credentials_file),
            ];
            // There is one way to log in.
            let key = files.iter().find(|(_, file)| file.is_some()).map_or("bus", |(key, _)| key);
            self.say(key, error.to_string());
        }
        if let Err(error) = store.authentication() {
            self.say("store.password_file", error.to_string());
        }
        if let Err(error) = bus.client_tls() {
            self.say(&format!("bus.tls.{}", error.setting()), error.to_string());
        }
        if let Err(error) = store.client_tls() {
            self.say(&format!("store.tls.{}", error.setting()), error.to_string());
        }
        if self.settings.grpc_listen(program).is_some()
            && let Err(error) = grpc.server_tls()
        {
            self.say(&format!("grpc.tls.{}", error.setting()), error.to_string());
        }
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
        self.say(
            &format!("{section}.{present}"),
            format!("needs `{section}.{missing}`, which is not set; set both or none"),
        );
    }
}
