//! The real binary: called once for its output, or running as `dev` with its output line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The project's folder: every command runs in it.
pub const PROJECT: &str = env!("CARGO_MANIFEST_DIR");
/// How long a test waits for a line; it is there much sooner unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a command printed, and its exit code.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A folder of the test's own, removed at its end.
pub struct Folder(pub PathBuf);

/// `pipewright dev` on free ports with a copy of the shipped mappings.
pub struct Dev {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    pub folder: Folder,
    pub welcome: String,
}

/// The binary, in the project's folder, with none of the caller's settings.
pub fn pipewright() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
    command.current_dir(PROJECT).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PIPEWRIGHT_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Ran {
    let output = pipewright().args(args).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pipewright-it-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Dev {
    pub fn start(name: &str) -> Self {
        Self::with(Folder::new(name), &[])
    }

    /// The same in a folder that has something in it already, with more arguments.
    pub fn with(folder: Folder, more: &[&str]) -> Self {
        let mappings = folder.0.join("mappings");
        std::fs::create_dir(&mappings).unwrap();
        for entry in std::fs::read_dir(Path::new(PROJECT).join("mappings")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), mappings.join(entry.file_name())).unwrap();
        }
        let mut child = pipewright()
            .args(["dev", "--port", "0", "--admin-port", "0", "--cluster-port", "0", "--task-time", "50"])
            .arg("--mappings")
            .arg(&mappings)
            .args(more)
            // The kubeconfig goes where the test can see it.
            .env("TMPDIR", &folder.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        let mut dev = Self { child, out, err, folder, welcome: String::new() };
        loop {
            let line = dev.line("Ctrl-C");
            dev.welcome.push_str(&line);
            dev.welcome.push('\n');
            if line.contains("Ctrl-C") {
                return dev;
            }
        }
    }

    /// The word after a label of the welcome, such as the address after `cluster`.
    pub fn told(&self, label: &str) -> &str {
        let line = self.welcome.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        line.split_whitespace().nth(1).unwrap()
    }

    /// The line to type that holds `part`.
    pub fn suggested(&self, part: &str) -> &str {
        self.welcome.lines().find(|line| line.contains(part)).unwrap().trim()
    }

    /// Waits for a line of standard output that holds `part`.
    pub fn wait_for(&self, part: &str) -> String {
        loop {
            let line = self.line(part);
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits for a line of standard error that holds `part`, and returns everything up to it.
    pub fn wait_for_error(&self, part: &str) -> String {
        let mut all = String::new();
        loop {
            let line = self
                .err
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("`{part}` did not come on standard error; there was:\n{all}"));
            all.push_str(&line);
            all.push('\n');
            if line.contains(part) {
                return all;
            }
        }
    }

    /// What is on standard error now.
    pub fn errors(&self) -> String {
        self.err.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// Presses Ctrl-C and returns the exit code.
    pub fn interrupt(mut self) -> (Option<i32>, Folder) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it did not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        let folder = std::mem::replace(&mut self.folder, Folder(PathBuf::new()));
        (status.code(), folder)
    }

    fn line(&self, part: &str) -> String {
        self.out
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("`{part}` did not come; standard error:\n{}", self.errors()))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The body that a GET of an `http://` address answers with.
pub fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
