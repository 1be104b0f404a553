//! What the programs do together while nothing goes wrong.

use std::collections::BTreeSet;

use windlass_proto::v1::{self, RunState};

use crate::{
    deployment::{Deployment, Kind, eventually, submit, until_ended},
    work::Ledger,
};

#[tokio::test(flavor = "multi_thread")]
async fn many_of_each_share_the_work_and_end_in_order() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let (submitter, streamer, first, second, north, south) = tokio::join!(
        deployment.program(Kind::Submitter),
        deployment.program(Kind::Streamer),
        deployment.program(Kind::Scheduler),
        deployment.program(Kind::Scheduler),
        deployment.launcher("north", 2),
        deployment.launcher("south", 2),
    );
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(submit(&submitter, &ledger.diamond(10)).await);
    }
    let mut hosts = BTreeSet::new();
    for run_id in &runs {
        let run = until_ended(&submitter, run_id).await;
        assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
        ledger.assert_each_once(run_id, 10);
        for step in 0..12 {
            let request = v1::ListAttemptsRequest {
                run_id: run_id.clone(),
                step: format!("s{step}"),
                ..Default::default()
            };
            let attempts = submitter.runs().list_attempts(request).await.expect("listed");
            let attempts = attempts.into_inner().attempts;
            hosts.extend(attempts.into_iter().map(|attempt| attempt.host));
        }
    }
    assert_eq!(hosts, BTreeSet::from(["north".to_owned(), "south".to_owned()]));
    for program in [submitter, streamer, first, second, north, south] {
        assert_eq!(program.end().await, Some(0), "{}", program.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_come_from_whichever_host_a_step_ran_on() {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let (submitter, streamer, _scheduler, _north, _south) = tokio::join!(
        deployment.program(Kind::Submitter),
        deployment.program(Kind::Streamer),
        deployment.program(Kind::Scheduler),
        deployment.launcher("north", 1),
        deployment.launcher("south", 1),
    );
    let steps = (0..6)
        .map(|index| {
            ledger.step(&format!("s{index}"), &[], &format!("sleep 0.1; echo line {index}"))
        })
        .collect();
    let pipeline = v1::Pipeline { name: "talkative".into(), steps, ..Default::default() };
    let run_id = submit(&submitter, &pipeline).await;
    let request = v1::StreamLogsRequest { run_id, follow: true, ..Default::default() };
    let mut stream = streamer.logs().stream_logs(request).await.expect("followed").into_inner();
    let mut lines = BTreeSet::new();
    while let Some(message) = stream.message().await.expect("it ends well") {
        lines.extend(message.lines.into_iter().map(|line| {
            (line.step.clone(), String::from_utf8_lossy(&line.content).trim_end().to_owned())
        }));
    }
    let expected = (0..6).map(|index| (format!("s{index}"), format!("line {index}"))).collect();
    assert_eq!(lines, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_runs_beyond_their_number_are_removed_with_what_launchers_keep_of_them() {
    let deployment = Deployment::start().await;
    let submitter = deployment.program(Kind::Submitter).await;
    let keep = ["store.retention.finished_runs=2"];
    let _scheduler = deployment.program_with(Kind::Scheduler, &keep, &[]).await;
    let _launcher = deployment.launcher("north", 2).await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let mut runs = Vec::new();
    for _ in 0..4 {
        let run_id = submit(&submitter, &ledger.diamond(1)).await;
        until_ended(&submitter, &run_id).await;
        runs.push(run_id);
    }
    let kept = BTreeSet::from([runs[2].clone(), runs[3].clone()]);
    eventually("the others are gone", async || {
        let listed = submitter.runs().list_runs(v1::ListRunsRequest::default()).await;
        let listed = listed.expect("listed").into_inner().runs;
        let directories = std::fs::read_dir(deployment.file("attempts").join("north"));
        let directories = directories.expect("there is one").flatten();
        let on_disk: BTreeSet<String> = directories
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("run_"))
            .collect();
        let in_store: BTreeSet<String> = listed.into_iter().map(|run| run.run_id).collect();
        (in_store == kept && on_disk == kept).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_does_not_see_the_settings_of_its_launcher() {
    let deployment = Deployment::start().await;
    let submitter = deployment.program(Kind::Submitter).await;
    let _scheduler = deployment.program(Kind::Scheduler).await;
    // As a password would be given.
    let settings = [("WINDLASS_LOG__LEVEL", "info"), ("OF_THE_MACHINE", "1")];
    let here = ["launcher.host=north", "launcher.slots=2"];
    let _launcher = deployment.program_with(Kind::Launcher, &here, &settings).await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let script = r"
        if env | grep '^WINDLASS_.*__'; then exit 1; fi
        if tr '\0' '\n' < /proc/$PPID/environ | grep '^WINDLASS_.*__'; then exit 2; fi
        env | grep OF_THE_MACHINE";
    let steps = vec![ledger.step("s0", &[], script)];
    let pipeline = v1::Pipeline { name: "curious".into(), steps, ..Default::default() };
    let run_id = submit(&submitter, &pipeline).await;
    let run = until_ended(&submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
}
