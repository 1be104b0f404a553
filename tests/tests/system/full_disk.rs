//! `windlass run` on a disk that has no room left: it says so, loses nothing, repeats nothing, and heeds Ctrl-C.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_mins(1);

/// A disk of a few megabytes.
struct SmallDisk {
    dir: TempDir,
    /// What comes before a command that only root may run.
    as_root: &'static [&'static str],
}

impl SmallDisk {
    /// None where this machine does not allow it.
    #[expect(clippy::print_stderr, reason = "a test that cannot run here says so")]
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mount = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            "size=8m,mode=0777",
            "tmpfs",
            dir.path().to_str().unwrap(),
        ];
        let ways: [&[&str]; 2] = [&[], &["sudo", "-n"]];
        for as_root in ways {
            if succeeds(as_root, &mount) {
                return Some(Self { dir, as_root });
            }
        }
        assert!(std::env::var_os("CI").is_none(), "a small disk cannot be mounted here");
        eprintln!(
            "SKIPPED: a small disk cannot be mounted here; root may, or sudo without a password"
        );
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; size];
            loop {
                match filler.write(&piece) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still has a file open there may close it later.
        succeeds(self.as_root, &["umount", "-l", self.path().to_str().unwrap()]);
    }
}

fn succeeds(as_root: &[&str], command: &[&str]) -> bool {
    let words: Vec<_> = as_root.iter().chain(command).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `windlass run` of two steps, in a directory that has room: `a` begins, waits until it may go on, leaves a line in
/// `ran`, and writes an output; `b` reads it.
struct Run {
    child: Child,
    dir: TempDir,
}

impl Run {
    fn start(state: &Path, a: &str, b: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let pipeline = format!(
            "name: p
steps:
  a:
    outputs: n
    run: |
      {a}
      dirname \"$WINDLASS_OUTPUT\" > begun.new; mv begun.new begun
      until [ -e go ]; do sleep 0.02; done
      echo a >> ran
  b:
    env: {{N: '${{{{ steps.a.outputs.n }}}}'}}
    run: {b}
"
        );
        fs::write(dir.path().join("pipeline.yaml"), pipeline).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
            .args(["run", "pipeline.yaml", "--state-dir"])
            .arg(state)
            .current_dir(dir.path())
            .env_remove("WINDLASS_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(File::create(dir.path().join("stderr")).unwrap()))
            .spawn()
            .unwrap();
        let run = Self { child, dir };
        run.until(|run| run.file("begun").exists());
        run
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn release(&self) {
        fs::write(self.file("go"), "").unwrap();
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(self.file("stderr")).unwrap()
    }

    fn until_it_says(&self, words: &str) {
        self.until(|run| run.said().contains(words));
    }

    fn until(&self, condition: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < LIMIT, "it did not come to pass: {}", self.said());
            std::thread::yield_now();
        }
    }

    fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end: {}", self.said());
            std::thread::yield_now();
        }
    }

    /// What the steps left behind, a line each time that one ran.
    fn ran(&self) -> String {
        fs::read_to_string(self.file("ran")).unwrap()
    }
}

const WRITE_SEVEN: &str = "echo '{\"n\": 7}' > \"$WINDLASS_OUTPUT\"";

#[test]
fn a_full_disk_is_told_and_the_run_goes_on_once_there_is_room_without_repeating_a_step() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut run = Run::start(&disk.path().join("state"), WRITE_SEVEN, "echo b$N >> ran");
    disk.fill();
    run.release();
    run.until_it_says("free some room");
    assert!(run.said().starts_with("warning: "), "{}", run.said());
    disk.make_room();
    assert_eq!(run.ended().code(), Some(0), "{}", run.said());
    assert_eq!(run.ran(), "a\nb7\n");
    assert!(run.said().contains("the run goes on"), "{}", run.said());
}

#[test]
fn an_interrupt_on_a_full_disk_is_not_lost() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut run = Run::start(&disk.path().join("state"), WRITE_SEVEN, "exec sleep 1000");
    disk.fill();
    run.interrupt();
    run.until_it_says("the run is not cancelled yet");
    assert!(run.child.try_wait().unwrap().is_none());
    disk.make_room();
    assert_eq!(run.ended().code(), Some(3), "{}", run.said());
    assert!(run.said().contains("the run is being cancelled now"), "{}", run.said());
}

#[test]
fn a_second_interrupt_on_a_full_disk_leaves_at_once_and_says_that_nothing_was_cancelled() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut run = Run::start(&disk.path().join("state"), WRITE_SEVEN, "':'");
    disk.fill();
    run.interrupt();
    run.until_it_says("the run is not cancelled yet");
    run.interrupt();
    assert_eq!(run.ended().code(), Some(130), "{}", run.said());
    assert!(
        run.said().contains("(a) had not ended, and the run was not cancelled"),
        "{}",
        run.said()
    );
    // What was left behind ends before the disk goes.
    run.release();
    run.until(|run| run.file("ran").exists());
}

#[test]
fn an_outcome_for_which_there_is_no_room_is_told_of_and_waits() {
    let state = TempDir::new().unwrap();
    // What was set aside for it is given away, and what is put in its place is always full.
    let give_away = "ln -sf /dev/full \"$(dirname \"$WINDLASS_OUTPUT\")/.outcome.json.new\"";
    let a = format!("{WRITE_SEVEN}; {give_away}");
    let mut run = Run::start(state.path(), &a, "echo b$N >> ran");
    run.release();
    run.until_it_says("an attempt waits for room");
    assert!(run.said().contains("free some room"), "{}", run.said());
    let attempt = fs::read_to_string(run.file("begun")).unwrap();
    fs::remove_file(Path::new(attempt.trim()).join(".outcome.json.new")).unwrap();
    assert_eq!(run.ended().code(), Some(0), "{}", run.said());
    assert_eq!(run.ran(), "a\nb7\n");
}
