//! The fuzz targets over the inputs that were kept, without a fuzzer.

use std::path::PathBuf;

use crate::support::corpus;

#[path = "../fuzz/targets/all.rs"]
pub mod targets;

/// Runs a target over its corpus and over everything that once broke it.
fn replay(target: &str, run: fn(&[u8])) {
    let mut inputs = 0;
    for kind in ["corpus", "regressions"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(kind).join(target);
        if !folder.is_dir() {
            continue;
        }
        for file in corpus::files(&folder) {
            let input = std::fs::read(&file).unwrap();
            if let Err(panic) = std::panic::catch_unwind(|| run(&input)) {
                eprintln!("the input was {}", file.display());
                std::panic::resume_unwind(panic);
            }
            inputs += 1;
        }
    }
    assert!(inputs > 0, "there are inputs for `{target}`");
    println!("{target}: {inputs} inputs");
}

#[test]
fn the_cloudevents_decoder_keeps_its_promises_on_every_kept_input() {
    replay("cloudevents", targets::cloudevents::run);
}

#[test]
fn bitbucket_payloads_give_valid_events_on_every_kept_input() {
    replay("bitbucket", targets::bitbucket::run);
    replay("bitbucket_data_center", targets::bitbucket_data_center::run);
}

#[test]
fn gitlab_payloads_give_valid_events_on_every_kept_input() {
    replay("gitlab", targets::gitlab::run);
}

#[test]
fn gitea_payloads_give_valid_events_on_every_kept_input() {
    replay("gitea", targets::gitea::run);
}

#[test]
fn github_payloads_give_valid_events_on_every_kept_input() {
    replay("github", targets::github::run);
}

#[test]
fn bodies_of_senders_without_a_parser_give_one_valid_event_on_every_kept_input() {
    replay("generic", targets::generic::run);
}

#[test]
fn the_mapping_loader_reports_and_never_panics_on_every_kept_input() {
    replay("mapping", targets::mapping::run);
}

#[test]
fn plans_keep_their_structure_on_every_kept_input() {
    replay("template", targets::template::run);
}
