//! Bitbucket Data Center's payloads: whatever the body is, for every event name, what comes out are valid events with ids of their own.

use pipewright::vocabulary::Forge;
use pipewright::vocabulary::bitbucket_data_center::ROWS;

use super::delivery::hold;

/// The input is the body of a delivery.
pub fn run(input: &[u8]) {
    hold(Forge::BitbucketDataCenter, ROWS, "diagnostics:ping", input);
}
