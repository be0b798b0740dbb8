//! Gitea, a real forge, beside the control plane: its own folder, its own port, an administrator, and nothing in it yet.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::components::{Layout, free_port};
use crate::description::Forge;
use crate::process::{Ready, Recipe};

/// The name of its administrator.
const ADMIN: &str = "root-admin";

/// Makes its configuration, its database and its administrator; what it will be like once it runs.
pub async fn prepare(layout: &Layout) -> anyhow::Result<(Forge, Recipe)> {
    let program = layout.program("gitea")?;
    let folder = layout.file("gitea");
    std::fs::create_dir_all(folder.join("home"))?;
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let file = folder.join("app.ini");
    let user = output(Command::new("id").arg("-un")).await?;
    std::fs::write(&file, configuration(&folder, &program.with_file_name("static"), user.trim(), port))?;
    let call = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.arg("--config").arg(&file).args(arguments).envs(environment(&folder));
        command
    };
    output(&mut call(&["migrate"])).await?;
    let made = output(&mut call(&[
        "admin",
        "user",
        "create",
        "--admin",
        "--username",
        ADMIN,
        "--random-password",
        "--email",
        "root-admin@example.com",
        "--must-change-password=false",
        "--access-token",
        "--access-token-name",
        "tests",
        "--access-token-scopes",
        "all",
    ]))
    .await?;
    // "Access token was successfully created: <token>".
    let token = made.split_whitespace().last().context("no token")?.to_owned();
    let recipe = Recipe::new("gitea", program, Ready::Port(port))
        .arguments(["--config".into(), file.into_os_string(), "web".into()])
        .environment(environment(&folder));
    Ok((Forge { url, admin: ADMIN.to_owned(), token }, recipe))
}

/// Git reads the user's configuration otherwise.
fn environment(folder: &Path) -> [(&'static str, String); 2] {
    [("HOME", folder.join("home").display().to_string()), ("GITEA_WORK_DIR", folder.display().to_string())]
}

async fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = command.as_std().get_program().display().to_string();
    let output =
        command.stdin(Stdio::null()).output().await.with_context(|| format!("{shown} cannot be run"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{shown} failed with {}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// One worker keeps the deliveries in order. They go to loopback, which Gitea refuses unless it is told.
fn configuration(folder: &Path, assets: &Path, user: &str, port: u16) -> String {
    let data: PathBuf = folder.join("data");
    let (folder, assets, data) = (folder.display(), assets.display(), data.display());
    format!(
        "APP_NAME = loopback forge
RUN_MODE = prod
RUN_USER = {user}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {folder}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
DOMAIN = 127.0.0.1
ROOT_URL = http://127.0.0.1:{port}/
LOCAL_ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {assets}
APP_DATA_PATH = {data}
DISABLE_SSH = true
SSH_USER = git
OFFLINE_MODE = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = {data}/gitea.db
SQLITE_JOURNAL_MODE = WAL
[repository]
ROOT = {data}/repos
DEFAULT_BRANCH = main
[repository.signing]
SIGNING_KEY = none
[security]
INSTALL_LOCK = true
SECRET_KEY = of-no-worth-here
INTERNAL_TOKEN = of-no-worth-here-either
PASSWORD_HASH_ALGO = pbkdf2$1$8
MIN_PASSWORD_LENGTH = 6
[service]
DISABLE_REGISTRATION = true
[mailer]
ENABLED = false
[oauth2]
ENABLED = false
[session]
PROVIDER = memory
[cache]
ADAPTER = memory
[queue]
TYPE = channel
BATCH_LENGTH = 1
MAX_WORKERS = 1
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[cron]
ENABLED = false
[cron.update_checker]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = loopback
DELIVER_TIMEOUT = 5
[log]
MODE = console
LEVEL = Warn
[api]
MAX_RESPONSE_ITEMS = 100
"
    )
}
