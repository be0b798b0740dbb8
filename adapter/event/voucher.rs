//! Who vouched for an event that came in: the attribute that expressions see, and its values.
//!
//! For a webhook it is the name of the source whose secret signed it; a name has no colon, and so never is one of these.

/// The attribute's name. Nobody can send it: expressions see what [`Event::vouched`](super::Event::vouched) set, and never an
/// extension of this name.
pub const VOUCHER: &str = "pipewrightsource";

/// Of a CloudEvent with a valid token.
pub const TOKEN: &str = "events:token";
/// Of a CloudEvent of which nothing is known: the route takes whatever is sent.
pub const INSECURE: &str = "events:insecure";
/// Of an event about a run that the watch has seen.
pub const WATCH: &str = "tekton:watch";
