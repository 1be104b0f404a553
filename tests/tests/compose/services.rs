//! What `compose.yaml` says of each service, held against what the programs say of themselves.

use std::{collections::BTreeMap, env, process::Command};

use serde_json::Value;

use crate::{
    file::{ComposeFile, Service, root, text},
    program,
};

/// The directory that launchers share with streamers.
const ATTEMPTS: &str = "attempts";

/// The variables of the command `windlass`, which is in the same containers.
const OF_THE_COMMAND: [&str; 2] = ["WINDLASS_SERVER", "WINDLASS_LOG_SERVER"];

/// What a service's program takes its configuration for: sections, keys, values as JSON.
fn in_force(service: &Service) -> BTreeMap<String, Value> {
    let mut words = service.command.clone();
    words.push("--check-config".to_owned());
    let output = program::command(&words, &service.environment).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} with {:?}: {said}", service.environment);
    let mut section = String::new();
    let mut values = BTreeMap::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        // Where a value comes from is told behind it.
        let line = line.split(" # ").next().unwrap_or_default();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once(" = ") {
            let value = serde_json::from_str(value).expect("values are written as in JSON");
            values.insert(format!("{section}.{key}"), value);
        }
    }
    values
}

fn setting<'a>(values: &'a BTreeMap<String, Value>, key: &str) -> &'a str {
    values.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{key} is no text"))
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').expect("an address has a port").1
}

/// A length of time such as `30s`, in seconds.
fn seconds(duration: &str) -> u64 {
    let number = duration.strip_suffix('s').and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("`{duration}` is not in seconds"))
}

#[test]
fn each_program_is_a_service_whose_settings_it_accepts() {
    let file = ComposeFile::read();
    let programs: Vec<&str> = file.programs().map(|(name, _)| name).collect();
    assert_eq!(programs, ["launcher", "scheduler", "streamer", "submitter"]);
    for (name, service) in file.programs() {
        assert_eq!(service.command, [format!("windlass-{name}")]);
        for variable in service.environment.keys() {
            // Those that are settings have two `_` in a row, and a program refuses those that it does not know.
            let is_known = variable.contains("__") || OF_THE_COMMAND.contains(&variable.as_str());
            assert!(is_known, "{name}: {variable} is nothing that Windlass reads");
        }
        in_force(service);
        assert_eq!(service.image, "windlass:local");
        assert_eq!(service.restart, "unless-stopped", "{name}");
        for server in ["nats", "redis"] {
            assert_eq!(service.depends_on[server].condition, "service_healthy", "{name}");
        }
    }
}

#[test]
fn ports_and_health_checks_are_those_of_the_programs() {
    for (name, service) in ComposeFile::read().programs() {
        let values = in_force(service);
        let operators = port(setting(&values, &format!("{name}.admin_listen")));
        let url = format!("http://127.0.0.1:{operators}/readyz");
        assert_eq!(service.healthcheck.test, ["CMD", "curl", "--fail", "--silent", &url]);
        let published: Vec<String> = match values.get(&format!("{name}.listen")) {
            None => Vec::new(),
            Some(listen) => {
                let clients = port(listen.as_str().expect("an address"));
                vec![format!("127.0.0.1:{clients}:{clients}")]
            }
        };
        assert_eq!(service.ports, published, "{name}");
    }
    // What the health checks need is in the image.
    assert!(text("Dockerfile").contains("ca-certificates curl"));
}

#[test]
fn programs_may_take_as_long_to_end_as_they_do() {
    for (name, service) in ComposeFile::read().programs() {
        let values = in_force(service);
        let drain = ["shutdown.delay", "shutdown.limit"].map(|key| seconds(setting(&values, key)));
        let grace = service.stop_grace_period.as_deref().expect("it has a grace period");
        assert!(seconds(grace) > drain.iter().sum(), "{name} is killed before it has ended");
    }
}

#[test]
fn launchers_write_where_the_streamer_reads() {
    let file = ComposeFile::read();
    assert!(file.volumes.contains_key(ATTEMPTS));
    for (name, may_write) in [("launcher", true), ("streamer", false)] {
        let service = &file.services[name];
        let values = in_force(service);
        let directory = setting(&values, &format!("{name}.directory"));
        assert_eq!(service.mount(ATTEMPTS), Some((directory, may_write)), "{name}");
    }
    assert!(file.services["launcher"].init, "nobody takes care of processes that steps leave");
    // The directory in the image gives the volume its owner.
    assert!(
        text("Dockerfile")
            .contains("install -d -o windlass -g windlass /var/lib/windlass/attempts")
    );
}

#[test]
fn servers_are_pinned_and_keep_what_they_are_given() {
    let file = ComposeFile::read();
    for (name, data) in [("nats", "/data"), ("redis", "/data")] {
        let service = &file.services[name];
        let tag = service.image.split_once(':').expect("an image has a version").1;
        let version = tag.split('-').next().expect("a version");
        let numbers: Vec<&str> = version.split('.').collect();
        assert!(numbers.len() >= 2, "{} may become another version", service.image);
        assert!(numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{}", service.image);
        assert_eq!(service.mount(name), Some((data, true)));
        assert!(service.ports.is_empty(), "{name} has no password and is open to others");
    }
}

/// The tool reads the file without an engine.
#[test]
fn the_compose_tool_accepts_the_file() {
    let answers = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root()).output().ok()
    };
    let mut tried = 0;
    for (program, before) in [("docker", &["compose"][..]), ("docker-compose", &[])] {
        let version = answers(program, &[before, &["version"]].concat());
        if !version.is_some_and(|version| version.status.success()) {
            continue;
        }
        tried += 1;
        let output = answers(program, &[before, &["config", "--quiet"]].concat()).expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
    }
    if tried == 0 {
        assert!(env::var_os("CI").is_none(), "install docker-compose, as `check` does");
        eprintln!("skipped: there is no docker compose and no docker-compose");
    }
}
