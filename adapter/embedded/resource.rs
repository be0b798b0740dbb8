//! The table of resources that the embedded cluster serves, as their real definitions declare them.

/// One resource of one API version.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version inside the group.
    pub version: &'static str,
    /// Plural name, as it stands in paths.
    pub plural: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Short names that `kubectl` accepts.
    pub short: &'static [&'static str],
    /// Groups of resources that `kubectl get` accepts.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// Whether the real server knows it built in or by a `CustomResourceDefinition`.
    pub origin: Origin,
    /// Whether `/status` exists, and with it the split between spec and status writes.
    pub status: Status,
    /// Whether a PUT must carry a resourceVersion.
    pub update: Update,
    /// What `kubectl get` prints after the name.
    pub columns: &'static [Column],
    /// Field selectors besides `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
}

/// Where objects of a resource live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// How the real server knows a resource; patch types, generation and some messages depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Compiled in.
    Builtin,
    /// Defined by a `CustomResourceDefinition`.
    Custom,
}

/// How status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Through `/status` only.
    Subresource,
    /// There is none.
    None,
}

/// What a PUT without a resourceVersion means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// It is refused.
    Versioned,
    /// It replaces whatever is there.
    Unconditional,
}

/// One printed column.
#[derive(Debug)]
pub struct Column {
    /// The heading as declared; `kubectl` prints it in capitals.
    pub name: &'static str,
    /// What to print.
    pub value: Cell,
    /// 0 is always printed, 1 with `-o wide`.
    pub priority: u8,
}

/// Where the value of a column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A JSON pointer.
    Pointer(&'static str),
    /// A JSON pointer to a timestamp, printed as its age.
    Age(&'static str),
    /// A field of the `Succeeded` condition.
    Succeeded(&'static str),
    /// How many entries maps have together.
    Count(&'static [&'static str]),
    /// A JSON pointer to a number, and what it is at least.
    Number(&'static str, i64),
    /// The message of an event.
    Message,
    /// Who reports an event.
    Source,
    /// `kind/name` of the object that an event is about.
    Involved,
}

/// The place of a resource in [`RESOURCES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(usize);

const AGE: Column = column("Age", Cell::Age("/metadata/creationTimestamp"));
const RUN: &[Column] = &[
    column("Succeeded", Cell::Succeeded("status")),
    column("Reason", Cell::Succeeded("reason")),
    column("StartTime", Cell::Age("/status/startTime")),
    column("CompletionTime", Cell::Age("/status/completionTime")),
];
const TEKTON: &[&str] = &["tekton", "tekton-pipelines"];

const fn column(name: &'static str, value: Cell) -> Column {
    Column { name, value, priority: 0 }
}

const fn wide(name: &'static str, value: Cell) -> Column {
    Column { name, value, priority: 1 }
}

const fn builtin(plural: &'static str, singular: &'static str, kind: &'static str) -> Resource {
    Resource {
        group: "",
        version: "v1",
        plural,
        singular,
        kind,
        short: &[],
        categories: &[],
        scope: Scope::Namespaced,
        origin: Origin::Builtin,
        status: Status::None,
        update: Update::Unconditional,
        columns: &[AGE],
        fields: &[],
    }
}

const fn tekton(plural: &'static str, singular: &'static str, kind: &'static str) -> Resource {
    Resource {
        group: "tekton.dev",
        categories: TEKTON,
        origin: Origin::Custom,
        status: Status::Subresource,
        update: Update::Versioned,
        ..builtin(plural, singular, kind)
    }
}

/// Everything served, in the order of discovery.
pub static RESOURCES: &[Resource] = &[
    Resource {
        short: &["ns"],
        scope: Scope::Cluster,
        status: Status::Subresource,
        columns: &[column("Status", Cell::Pointer("/status/phase")), AGE],
        fields: &["status.phase"],
        ..builtin("namespaces", "namespace", "Namespace")
    },
    Resource {
        short: &["cm"],
        columns: &[column("Data", Cell::Count(&["data", "binaryData"])), AGE],
        ..builtin("configmaps", "configmap", "ConfigMap")
    },
    Resource {
        columns: &[column("Type", Cell::Pointer("/type")), column("Data", Cell::Count(&["data"])), AGE],
        fields: &["type"],
        ..builtin("secrets", "secret", "Secret")
    },
    Resource {
        short: &["ev"],
        columns: &[
            column("Last Seen", Cell::Age("/lastTimestamp")),
            column("Type", Cell::Pointer("/type")),
            column("Reason", Cell::Pointer("/reason")),
            column("Object", Cell::Involved),
            wide("Subobject", Cell::Pointer("/involvedObject/fieldPath")),
            wide("Source", Cell::Source),
            column("Message", Cell::Message),
            wide("First Seen", Cell::Age("/firstTimestamp")),
            wide("Count", Cell::Number("/count", 1)),
            wide("Name", Cell::Pointer("/metadata/name")),
        ],
        fields: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "reason",
            "reportingComponent",
            "type",
        ],
        ..builtin("events", "event", "Event")
    },
    Resource { short: &["sa"], ..builtin("serviceaccounts", "serviceaccount", "ServiceAccount") },
    Resource {
        group: "coordination.k8s.io",
        update: Update::Versioned,
        columns: &[column("Holder", Cell::Pointer("/spec/holderIdentity")), AGE],
        ..builtin("leases", "lease", "Lease")
    },
    tekton("pipelines", "pipeline", "Pipeline"),
    Resource { short: &["pr", "prs"], columns: RUN, ..tekton("pipelineruns", "pipelinerun", "PipelineRun") },
    tekton("tasks", "task", "Task"),
    Resource { short: &["tr", "trs"], columns: RUN, ..tekton("taskruns", "taskrun", "TaskRun") },
    Resource { version: "v1beta1", columns: RUN, ..tekton("customruns", "customrun", "CustomRun") },
];

/// Where an object is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The resource.
    pub id: Id,
    /// The namespace; empty for objects of the cluster.
    pub namespace: String,
    /// The name.
    pub name: String,
}

// === impl Resource ===

impl Resource {
    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, as error messages name a resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Kind.group`, as validation messages name it.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// Where etcd keeps it; the real server tells in one message.
    pub fn storage(&self) -> String {
        if self.is_custom() { format!("{}/{}", self.group, self.plural) } else { self.plural.to_owned() }
    }

    /// Whether a PUT creates what is not there.
    pub fn is_created_by_put(&self) -> bool {
        matches!(self.kind, "Lease" | "Event")
    }

    /// Whether it is defined by a `CustomResourceDefinition`.
    pub fn is_custom(&self) -> bool {
        self.origin == Origin::Custom
    }

    /// Whether objects live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether writes of spec and status are split.
    pub fn has_status(&self) -> bool {
        self.status == Status::Subresource
    }
}

// === impl Id ===

impl Id {
    /// The namespaces, which every namespaced write looks up.
    pub const NAMESPACES: Self = Self(0);

    /// The entry of the table.
    pub fn get(self) -> &'static Resource {
        &RESOURCES[self.0]
    }

    /// The place in the table.
    pub fn index(self) -> usize {
        self.0
    }

    /// By the parts of a path.
    pub fn by_path(group: &str, version: &str, plural: &str) -> Option<Self> {
        RESOURCES
            .iter()
            .position(|r| r.group == group && r.version == version && r.plural == plural)
            .map(Self)
    }

    /// By the `apiVersion` and `kind` of an object.
    pub fn by_kind(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        RESOURCES.iter().position(|r| r.group == group && r.version == version && r.kind == kind).map(Self)
    }

    /// By group and kind, whatever the version; owner references are resolved so.
    pub fn by_group_kind(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        RESOURCES.iter().position(|r| r.group == group && r.kind == kind).map(Self)
    }

    /// Every resource.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..RESOURCES.len()).map(Self)
    }
}
