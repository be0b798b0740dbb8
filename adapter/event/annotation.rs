//! The labels and annotations that we write on Tekton objects (prefix `pipewright.dev/`).
//!
//! `PipelineRun` annotations are copied by Tekton to every `TaskRun` and `Pod`, so all of them together stay small.

/// Label: the mapping that asked for the object.
pub const MAPPING: &str = "pipewright.dev/mapping";
/// Label: the action inside the mapping.
pub const ACTION: &str = "pipewright.dev/action";
/// Annotation: the whole identity of the effect, 64 hexadecimal digits. An existing object that bears ours is ours.
pub const EFFECT_KEY: &str = "pipewright.dev/effect-key";
/// Annotation: `id` of the event that caused the object.
pub const EVENT_ID: &str = "pipewright.dev/event-id";
/// Annotation: `source` of that event.
pub const EVENT_SOURCE: &str = "pipewright.dev/event-source";
/// Annotation: who vouched for that event: the source whose secret signed it, or how its sender proved who it is.
pub const SOURCE: &str = "pipewright.dev/source";
/// Annotation: `type` of that event.
pub const EVENT_TYPE: &str = "pipewright.dev/event-type";
/// Annotation: the `CDEvents` chain that the object continues.
pub const CHAIN_ID: &str = "pipewright.dev/chain-id";
/// Annotation: the `X-GitHub-Delivery` (or the like) that brought the event, for people who search the forge's log.
pub const DELIVERY: &str = "pipewright.dev/delivery";
/// Annotation: the change that the object works on, as a later event refers to it: a change's subject or a commit.
pub const CHANGE_ID: &str = "pipewright.dev/change-id";
/// Annotation: where that change is, a URI-reference.
pub const CHANGE_SOURCE: &str = "pipewright.dev/change-source";
/// Annotation: the transitions already announced: JSON `{"uid": "<of this object>", "sent": ["queued", …], "made": true}`. The
/// `uid` tells our own value from one that Tekton copied from the parent. While sinks differ, `part` has for a transition the
/// effects that exist; `refused` has what was refused for good.
pub const EMITTED: &str = "pipewright.dev/emitted";
/// Annotation of the Lease: how many deleted runs the leader has still to tell of, and the first of them, so that another
/// leader can say what was lost with it.
pub const DELETED_RUNS: &str = "pipewright.dev/deleted-runs";
/// Annotation of the Lease: how far the leader has watched, so that another one finds out what was deleted since.
pub const WATCHED: &str = "pipewright.dev/watched";
/// Label that says who manages an object, as Kubernetes recommends.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Our value of [`MANAGED_BY`].
pub const MANAGER: &str = "pipewright";
