//! The image, as `deploy/image.sh` lays it out and the Dockerfile copies it: what is in it, and the program running in it.
//!
//! No container engine is needed: a mount namespace, a read-only bind mount and `chroot` are what one would use for the file
//! system. They need root.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::pod::Container;
use super::{installed, make_pipeline};
use crate::support::deployed;
use crate::support::ground::Real;
use crate::support::process::{Folder, Recorder, fixture};
use crate::support::program::PROJECT;
use crate::support::skip;

/// The user and group of the image and of the Deployment.
const USER: u32 = 65532;

/// Everything in the image but the program's libraries.
const FILES: [&str; 3] = ["etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt", "pipewright"];

fn lay_out(folder: &Path) {
    let program = env!("CARGO_BIN_EXE_pipewright");
    let status =
        Command::new(Path::new(PROJECT).join("deploy/image.sh")).arg(program).arg(folder).status().unwrap();
    assert!(status.success(), "{status}");
}

/// A command whose root is the folder, read-only, as the image's user and without a way to more rights; the program and its
/// arguments are still to be added. None, with a note, where that cannot be done.
fn inside(folder: &Path) -> Option<Command> {
    let script = "root=$1; shift; mount --bind \"$root\" \"$root\" && mount -o remount,bind,ro \"$root\" && \
                  exec setpriv --no-new-privs \"$(command -v chroot)\" --userspec=65532:65532 \"$root\" \"$@\"";
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--mount", "--", "/bin/sh", "-c", script, "sh"]).arg(folder);
    let able =
        Command::new("/usr/bin/unshare").args(["--mount", "--", "/bin/true"]).stderr(Stdio::null()).status();
    if !able.is_ok_and(|status| status.success()) {
        skip("the image is not tried: `unshare --mount` needs root");
        return None;
    }
    Some(command)
}

fn run(folder: &Path, arguments: &[&str]) -> Option<Output> {
    Some(inside(folder)?.args(arguments).env_clear().output().unwrap())
}

fn files(folder: &Path, below: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(folder, &path));
        } else {
            found.insert(path.strip_prefix(folder).unwrap().to_owned());
        }
    }
    found
}

#[test]
fn the_image_holds_the_program_and_what_it_needs_and_no_shell() {
    let folder = Folder::new("image");
    lay_out(folder.path());
    let (own, libraries): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
        files(folder.path(), folder.path()).into_iter().partition(|path| {
            !path.starts_with("lib") && !path.starts_with("lib64") && !path.starts_with("usr/lib")
        });
    assert_eq!(own, FILES.iter().map(PathBuf::from).collect());
    let name =
        |path: &PathBuf| path.file_name().unwrap().to_string_lossy().split(".so").next().unwrap().to_owned();
    let names: BTreeSet<String> = libraries.iter().map(name).collect();
    let loader = names.iter().find(|name| name.starts_with("ld-linux")).unwrap().clone();
    assert_eq!(names, [loader.as_str(), "libc", "libgcc_s", "libm"].map(str::to_owned).into());

    let Some(output) = run(folder.path(), &["/pipewright", "--version"]) else { return };
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out, format!("pipewright {}\n", env!("CARGO_PKG_VERSION")), "{:?}", output.stderr);
    let output = run(folder.path(), &["/bin/sh", "-c", "true"]).unwrap();
    assert_eq!(output.status.code(), Some(127), "there is a shell");
}

#[test]
fn the_dockerfile_copies_that_layout_and_nothing_else() {
    let text = std::fs::read_to_string(Path::new(PROJECT).join("deploy/Dockerfile")).unwrap();
    let (build, image) = text.split_once("\nFROM scratch\n").unwrap();
    assert!(build.contains("\nRUN deploy/image.sh target/dist/pipewright /image\n"));
    let copies: Vec<&str> =
        image.lines().filter(|line| line.starts_with("COPY") || line.starts_with("ADD")).collect();
    assert_eq!(copies, ["COPY --from=build /image/ /"]);
    assert!(image.contains(&format!("\nUSER {USER}:{USER}\n")));
    assert!(image.contains("\nENTRYPOINT [\"/pipewright\"]\n"));
}

/// The rendered settings unchanged, at the paths that they name, with the cluster found as in a pod.
#[tokio::test(flavor = "multi_thread")]
async fn the_pod_does_its_work_in_the_image_as_nobody_on_a_read_only_file_system() {
    let Some(real) = Real::new().await else { return };
    let (admin, namespace) = (real.client(), real.namespace.as_str());
    make_pipeline(&admin, namespace).await;
    deployed::kubeconfig(&real.cluster, namespace).await;
    let token = deployed::token(&admin, namespace).await;
    let sink = Recorder::start();
    let container = Container::new(&installed(&real.cluster), namespace);
    let root = container.root.path().to_owned();
    lay_out(&root);
    let Some(mut command) = inside(&root) else { return };

    // What the kubelet adds: names, the account's token, and the secret for the group alone.
    let account = root.join("var/run/secrets/kubernetes.io/serviceaccount");
    std::fs::create_dir_all(&account).unwrap();
    std::fs::copy(&real.cluster.authority, account.join("ca.crt")).unwrap();
    for (name, text) in [("token", token.as_str()), ("namespace", namespace)] {
        std::fs::write(account.join(name), text).unwrap();
    }
    std::fs::write(root.join("etc/hosts"), "127.0.0.1 sink.example.internal\n").unwrap();
    std::fs::write(root.join("etc/resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    let secret = root.join("etc/pipewright/github/secret");
    chown(&secret, Some(0), Some(USER)).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o440)).unwrap();
    // A sink over TLS makes the start fail where there are no authorities.
    container.edit("etc/pipewright/settings/pipewright.yaml", |text| {
        text + "---\napiVersion: pipewright.dev/v1alpha1\nkind: Sink\nmetadata: {name: other}\nspec: {url: https://example.com/}\n"
    });
    let (host, port) = real.cluster.server.strip_prefix("https://").unwrap().split_once(':').unwrap();
    let sink_port = sink.url.trim_end_matches('/').rsplit(':').next().unwrap();
    let container = container
        .with("KUBERNETES_SERVICE_HOST", host)
        .with("KUBERNETES_SERVICE_PORT", port)
        .with("K_SINK", format!("http://sink.example.internal:{sink_port}/"));
    command.arg("/pipewright").args(&container.arguments);
    let mut pod = container.start(command);
    pod.ready().await;

    let status = pod.process("status");
    let fact = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(fact("Uid:"), vec![USER.to_string(); 4]);
    assert_eq!(fact("Gid:"), vec![USER.to_string(); 4]);
    assert_eq!(fact("CapEff:"), ["0000000000000000"]);
    assert_eq!(fact("CapPrm:"), ["0000000000000000"]);
    assert_eq!(fact("NoNewPrivs:"), ["1"]);
    let mounts = pod.process("mountinfo");
    let mount = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(mount.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{mount}");

    let (code, result, text) = pod.webhook("pull_request", &fixture("pull_request.opened.json")).await;
    assert_eq!((code, result.as_str()), (202, "created"), "{text}");
    pod.until("the end of the run is announced", async || {
        sink.events(|events| {
            events.iter().any(|event| event.ty().starts_with("dev.cdevents.pipelinerun.finished."))
        })
    })
    .await;
    pod.terminate();

    // The same without the authorities.
    std::fs::remove_file(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let output = inside(&root)
        .unwrap()
        .arg("/pipewright")
        .args(["serve", "--settings=/etc/pipewright/settings/pipewright.yaml"])
        .env_clear()
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("certificates"), "{error}");
}
