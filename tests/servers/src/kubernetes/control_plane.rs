//! How the programs of a control plane are started.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::authority::Authority;
use crate::process::Start;

/// What a program writes that listens and serves.
const SERVES: &str = "Serving securely on";

pub(super) fn etcd(programs: &Path, directory: &Path, port: u16) -> Start {
    let url = format!("http://127.0.0.1:{port}");
    let mut arguments = Arguments::default();
    arguments
        .set("data-dir", directory.join("etcd"))
        .set("listen-client-urls", &url)
        .set("advertise-client-urls", &url)
        // It is alone, and nobody ever asks for this port.
        .set("listen-peer-urls", "http://127.0.0.1:0")
        // What tests write need not outlive the machine.
        .set("unsafe-no-fsync", "true");
    arguments.start(programs.join("etcd"), "serving client traffic insecurely")
}

pub(super) fn apiserver(
    programs: &Path,
    authority: &Authority,
    etcd: SocketAddr,
    port: u16,
) -> Start {
    let (certificate, key) = authority.server();
    let (kubelet_certificate, kubelet_key) = authority.kubelet_client();
    let (tokens_key, tokens_public_key) = authority.tokens();
    let mut arguments = Arguments::default();
    arguments
        .set("etcd-servers", format!("http://{etcd}"))
        .set("bind-address", "127.0.0.1")
        .set("secure-port", port.to_string())
        // It refuses to tell pods of a loopback address, and here none asks: one that is kept for documentation.
        .set("advertise-address", "203.0.113.1")
        .set("endpoint-reconciler-type", "none")
        .set("service-cluster-ip-range", "10.96.0.0/16")
        .set("authorization-mode", "Node,RBAC")
        .set("client-ca-file", authority.certificate())
        .set("tls-cert-file", certificate)
        .set("tls-private-key-file", key)
        .set("kubelet-client-certificate", kubelet_certificate)
        .set("kubelet-client-key", kubelet_key)
        // Names of nodes are known to nobody.
        .set("kubelet-preferred-address-types", "InternalIP")
        .set("service-account-issuer", "https://kubernetes.default.svc")
        .set("service-account-key-file", tokens_public_key)
        .set("service-account-signing-key-file", tokens_key)
        .set("enable-admission-plugins", "NodeRestriction")
        .set("allow-privileged", "true")
        // Controllers ask for it again and again where there is none. Nobody has a certificate of this name.
        .set("requestheader-client-ca-file", authority.certificate())
        .set("requestheader-allowed-names", "front-proxy")
        .set("requestheader-username-headers", "X-Remote-User")
        .set("requestheader-group-headers", "X-Remote-Group")
        .set("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        // Instead of five minutes: pods of a node that is gone are deleted while a test waits for it.
        .set("default-not-ready-toleration-seconds", "2")
        .set("default-unreachable-toleration-seconds", "2");
    arguments.start(programs.join("kube-apiserver"), SERVES)
}

pub(super) fn controller_manager(
    programs: &Path,
    authority: &Authority,
    kubeconfig: &Path,
    port: u16,
) -> Start {
    let mut arguments = Arguments::default();
    arguments
        .client(kubeconfig, port)
        .set("use-service-account-credentials", "true")
        .set("service-account-private-key-file", authority.tokens().0)
        .set("root-ca-file", authority.certificate());
    arguments.start(programs.join("kube-controller-manager"), SERVES)
}

pub(super) fn scheduler(programs: &Path, kubeconfig: &Path, port: u16) -> Start {
    let mut arguments = Arguments::default();
    arguments.client(kubeconfig, port);
    arguments.start(programs.join("kube-scheduler"), SERVES)
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        let mut argument = OsString::from(format!("--{name}="));
        argument.push(value);
        self.0.push(argument);
        self
    }

    /// What the API server's two clients have in common.
    fn client(&mut self, kubeconfig: &Path, port: u16) -> &mut Self {
        self.set("kubeconfig", kubeconfig)
            .set("authentication-kubeconfig", kubeconfig)
            .set("authorization-kubeconfig", kubeconfig)
            .set("bind-address", "127.0.0.1")
            .set("secure-port", port.to_string())
            // There is one of each: nobody to be elected, and no lease to be waited for after a kill.
            .set("leader-elect", "false")
            // Their own limits are for clusters whose API server is shared.
            .set("kube-api-qps", "5000")
            .set("kube-api-burst", "10000")
    }

    fn start(self, program: PathBuf, ready: &'static str) -> Start {
        Start { program, arguments: self.0, environment: Vec::new(), ready }
    }
}
