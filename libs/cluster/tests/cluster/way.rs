//! How clusters are reached. The API server here is a listener that notes what it is asked.

use std::{path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
    time::timeout,
};
use windlass_cluster::{CheckError, ClusterConfig, ConnectError, check, connect};

const VERSION: &str = r#"{"major":"1","minor":"37","gitVersion":"v1.37.0","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;

/// Listens, answers one request with a version, and gives its head.
async fn listen() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{VERSION}",
            VERSION.len()
        );
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap().to_lowercase()
    });
    (address, asked)
}

/// A kubeconfig with two contexts: `other`, the current one, leads nowhere, and `here` to the address with what a program says.
fn kubeconfig(dir: &Path, address: &str, plugin: &str) -> ClusterConfig {
    let program = dir.join("plugin");
    std::fs::write(&program, plugin).unwrap();
    let path = dir.join("kubeconfig");
    let text = format!(
        "
apiVersion: v1
kind: Config
current-context: other
contexts:
  - {{name: other, context: {{cluster: nowhere, user: nobody}}}}
  - {{name: here, context: {{cluster: here, user: plugin, namespace: from-context}}}}
clusters:
  - {{name: nowhere, cluster: {{server: 'http://127.0.0.1:1'}}}}
  - {{name: here, cluster: {{server: '{address}'}}}}
users:
  - {{name: nobody, user: {{}}}}
  - name: plugin
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: sh
        args: ['{}']
        interactiveMode: Never
        env: [{{name: TOKEN, value: abc123}}]
",
        program.display()
    );
    std::fs::write(&path, text).unwrap();
    ClusterConfig {
        kubeconfig: Some(path),
        context: Some("here".to_owned()),
        ..ClusterConfig::default()
    }
}

async fn refusal(config: &ClusterConfig) -> ConnectError {
    connect(config).await.err().expect("there is no way")
}

const TELLS_TOKEN: &str = r#"echo "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"$TOKEN\"}}""#;

#[tokio::test]
async fn the_context_says_where_and_its_program_who() {
    let dir = tempfile::tempdir().unwrap();
    let (address, asked) = listen().await;
    let config = kubeconfig(dir.path(), &address, TELLS_TOKEN);
    let client = connect(&config).await.unwrap();
    assert_eq!(client.default_namespace(), "from-context");

    let version = client.apiserver_version().await.unwrap();
    assert_eq!(version.git_version, "v1.37.0");
    let head = timeout(Duration::from_secs(30), asked).await.unwrap().unwrap();
    assert!(head.starts_with("get /version "), "{head}");
    assert!(head.contains("authorization: bearer abc123\r\n"), "{head}");
    let agent = format!("user-agent: windlass-launcher/{}\r\n", env!("CARGO_PKG_VERSION"));
    assert!(head.contains(&agent), "{head}");

    let config = ClusterConfig { namespace: Some("jobs".to_owned()), ..config };
    assert_eq!(connect(&config).await.unwrap().default_namespace(), "jobs");
}

#[tokio::test]
async fn who_cannot_be_reached_or_identified_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let told = |text: &str| text.replace(&dir.path().display().to_string(), "DIR");

    let config = kubeconfig(dir.path(), "http://127.0.0.1:1", "echo 'no session' >&2; exit 3");
    insta::assert_snapshot!("a_program_that_fails", told(&refusal(&config).await.to_string()));

    let config = kubeconfig(dir.path(), "http://127.0.0.1:1", TELLS_TOKEN);
    let unreachable = check(&config, None).await.unwrap_err();
    assert!(matches!(unreachable, CheckError::Unreachable { .. }), "{unreachable:?}");
    insta::assert_snapshot!(unreachable);

    let config = ClusterConfig { context: Some("third".to_owned()), ..config };
    insta::assert_snapshot!(told(&refusal(&config).await.to_string()));

    let config = ClusterConfig { kubeconfig: Some("/nowhere/kubeconfig".into()), ..config };
    insta::assert_snapshot!(refusal(&config).await);
}

#[tokio::test]
async fn what_a_program_prints_before_it_fails_and_what_is_no_credential_is_told_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let fails = format!("{TELLS_TOKEN}; echo 'a line'; echo 'no session' >&2; echo >&2; exit 3");
    let no_credential = "echo \"$TOKEN: {\"";
    for (script, words) in
        [(&*fails, "exit status: 3): no session"), (no_credential, "has not printed")]
    {
        let refused = refusal(&kubeconfig(dir.path(), "http://127.0.0.1:1", script)).await;
        let told = format!("{refused} {refused:?}");
        assert!(told.contains(words) && told.contains("`sh` "), "{told}");
        assert!(!told.contains("abc123") && !told.contains("a line"), "{told}");
    }
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let refused = refusal(&kubeconfig(dir.path(), "http://127.0.0.1:1", "exec yes")).await;
    assert!(refused.to_string().contains("of at most 1048576 bytes"), "{refused}");
}
