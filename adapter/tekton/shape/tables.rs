//! The fields of Tekton's API (tektoncd/pipeline v1.15, `pkg/apis/pipeline/v1`) and of what it takes from Kubernetes.

use super::{Struct, Type};

/// `spec` of a PipelineRun.
pub static PIPELINE_RUN_SPEC: Struct = Struct {
    fields: &[
        ("pipelineRef", Type::Struct(&REFERENCE)),
        ("pipelineSpec", Type::Struct(&PIPELINE_SPEC)),
        ("params", Type::List(&PARAM)),
        ("status", Type::Text),
        ("timeouts", Type::Struct(&TIMEOUTS)),
        ("taskRunTemplate", Type::Struct(&TASK_RUN_TEMPLATE)),
        ("workspaces", Type::List(&WORKSPACE_BINDING)),
        ("taskRunSpecs", Type::List(&PIPELINE_TASK_RUN_SPEC)),
        ("managedBy", Type::Pointer),
    ],
};
/// `spec` of a TaskRun.
pub static TASK_RUN_SPEC: Struct = Struct {
    fields: &[
        ("debug", Type::Opaque),
        ("params", Type::List(&PARAM)),
        ("serviceAccountName", Type::Text),
        ("taskRef", Type::Struct(&REFERENCE)),
        ("taskSpec", Type::Struct(&TASK_SPEC)),
        ("status", Type::Text),
        ("statusMessage", Type::Text),
        ("retries", Type::Int),
        ("timeout", Type::Duration),
        ("podTemplate", Type::Struct(&POD_TEMPLATE)),
        ("workspaces", Type::List(&WORKSPACE_BINDING)),
        ("stepSpecs", Type::List(&STEP_SPEC)),
        ("sidecarSpecs", Type::List(&STEP_SPEC)),
        ("computeResources", Type::Struct(&RESOURCES)),
        ("managedBy", Type::Pointer),
    ],
};
/// A reference to a Pipeline, a Task or a step action.
static REFERENCE: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("kind", Type::Text),
        ("apiVersion", Type::Text),
        ("resolver", Type::Text),
        ("params", Type::List(&PARAM)),
    ],
};
static PARAM: Struct = Struct { fields: &[("name", Type::Text), ("value", Type::Required)] };
static TIMEOUTS: Struct = Struct {
    fields: &[("pipeline", Type::Duration), ("tasks", Type::Duration), ("finally", Type::Duration)],
};
static TASK_RUN_TEMPLATE: Struct =
    Struct { fields: &[("podTemplate", Type::Struct(&POD_TEMPLATE)), ("serviceAccountName", Type::Text)] };
static PIPELINE_TASK_RUN_SPEC: Struct = Struct {
    fields: &[
        ("pipelineTaskName", Type::Text),
        ("serviceAccountName", Type::Text),
        ("podTemplate", Type::Struct(&POD_TEMPLATE)),
        ("stepSpecs", Type::List(&STEP_SPEC)),
        ("sidecarSpecs", Type::List(&STEP_SPEC)),
        ("metadata", Type::Struct(&LABELS)),
        ("computeResources", Type::Struct(&RESOURCES)),
        ("timeout", Type::Duration),
    ],
};
static STEP_SPEC: Struct =
    Struct { fields: &[("name", Type::Text), ("computeResources", Type::Struct(&RESOURCES))] };
static LABELS: Struct = Struct { fields: &[("labels", Type::TextMap), ("annotations", Type::TextMap)] };
static RESOURCES: Struct = Struct {
    fields: &[("limits", Type::Quantities), ("requests", Type::Quantities), ("claims", Type::Opaque)],
};
static POD_TEMPLATE: Struct = Struct {
    fields: &[
        ("nodeSelector", Type::TextMap),
        ("env", Type::List(&ENV)),
        ("tolerations", Type::List(&TOLERATION)),
        ("affinity", Type::Opaque),
        ("securityContext", Type::Opaque),
        ("volumes", Type::Opaque),
        ("runtimeClassName", Type::Pointer),
        ("automountServiceAccountToken", Type::Bool),
        ("dnsPolicy", Type::Pointer),
        ("dnsConfig", Type::Opaque),
        ("enableServiceLinks", Type::Bool),
        ("priorityClassName", Type::Pointer),
        ("schedulerName", Type::Text),
        ("imagePullSecrets", Type::List(&LOCAL_REFERENCE)),
        ("hostAliases", Type::Opaque),
        ("hostNetwork", Type::Bool),
        ("hostUsers", Type::Bool),
        ("topologySpreadConstraints", Type::Opaque),
    ],
};
static TOLERATION: Struct = Struct {
    fields: &[
        ("key", Type::Text),
        ("operator", Type::Text),
        ("value", Type::Text),
        ("effect", Type::Text),
        ("tolerationSeconds", Type::Int),
    ],
};
static LOCAL_REFERENCE: Struct = Struct { fields: &[("name", Type::Text)] };
static WORKSPACE_BINDING: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("subPath", Type::Text),
        ("volumeClaimTemplate", Type::Struct(&CLAIM_TEMPLATE)),
        ("persistentVolumeClaim", Type::Struct(&CLAIM)),
        ("emptyDir", Type::Struct(&EMPTY_DIR)),
        ("configMap", Type::Struct(&CONFIG_MAP)),
        ("secret", Type::Struct(&SECRET)),
        ("projected", Type::Struct(&PROJECTED)),
        ("csi", Type::Struct(&CSI)),
    ],
};
static CLAIM_TEMPLATE: Struct = Struct {
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("metadata", Type::Struct(&METADATA)),
        ("spec", Type::Struct(&CLAIM_SPEC)),
        ("status", Type::Opaque),
    ],
};
static METADATA: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("generateName", Type::Text),
        ("namespace", Type::Text),
        ("labels", Type::TextMap),
        ("annotations", Type::TextMap),
        ("creationTimestamp", Type::Opaque),
        ("selfLink", Type::Text),
        ("uid", Type::Text),
        ("resourceVersion", Type::Text),
        ("generation", Type::Opaque),
        ("deletionTimestamp", Type::Opaque),
        ("deletionGracePeriodSeconds", Type::Opaque),
        ("ownerReferences", Type::Opaque),
        ("finalizers", Type::Opaque),
        ("managedFields", Type::Opaque),
    ],
};
static CLAIM_SPEC: Struct = Struct {
    fields: &[
        ("accessModes", Type::Texts),
        ("selector", Type::Opaque),
        ("resources", Type::Struct(&CLAIM_RESOURCES)),
        ("volumeName", Type::Text),
        ("storageClassName", Type::Pointer),
        ("volumeMode", Type::Pointer),
        ("dataSource", Type::Opaque),
        ("dataSourceRef", Type::Opaque),
        ("volumeAttributesClassName", Type::Pointer),
    ],
};
static CLAIM_RESOURCES: Struct =
    Struct { fields: &[("limits", Type::Quantities), ("requests", Type::Quantities)] };
static CLAIM: Struct = Struct { fields: &[("claimName", Type::Text), ("readOnly", Type::Bool)] };
static EMPTY_DIR: Struct = Struct { fields: &[("medium", Type::Text), ("sizeLimit", Type::Quantity)] };
static KEY_TO_PATH: Struct =
    Struct { fields: &[("key", Type::Text), ("path", Type::Text), ("mode", Type::Int)] };
static CONFIG_MAP: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("items", Type::List(&KEY_TO_PATH)),
        ("defaultMode", Type::Int),
        ("optional", Type::Bool),
    ],
};
static SECRET: Struct = Struct {
    fields: &[
        ("secretName", Type::Text),
        ("items", Type::List(&KEY_TO_PATH)),
        ("defaultMode", Type::Int),
        ("optional", Type::Bool),
    ],
};
static PROJECTED: Struct =
    Struct { fields: &[("sources", Type::List(&PROJECTION)), ("defaultMode", Type::Int)] };
static PROJECTION: Struct = Struct {
    fields: &[
        ("secret", Type::Struct(&PROJECTED_OBJECT)),
        ("configMap", Type::Struct(&PROJECTED_OBJECT)),
        ("serviceAccountToken", Type::Struct(&PROJECTED_TOKEN)),
        ("downwardAPI", Type::Opaque),
        ("clusterTrustBundle", Type::Opaque),
        ("podCertificate", Type::Opaque),
    ],
};
static PROJECTED_OBJECT: Struct =
    Struct { fields: &[("name", Type::Text), ("items", Type::List(&KEY_TO_PATH)), ("optional", Type::Bool)] };
static PROJECTED_TOKEN: Struct =
    Struct { fields: &[("audience", Type::Text), ("expirationSeconds", Type::Int), ("path", Type::Text)] };
static CSI: Struct = Struct {
    fields: &[
        ("driver", Type::Text),
        ("readOnly", Type::Bool),
        ("fsType", Type::Pointer),
        ("volumeAttributes", Type::TextMap),
        ("nodePublishSecretRef", Type::Struct(&LOCAL_REFERENCE)),
    ],
};

/// `spec` of a Pipeline.
pub static PIPELINE_SPEC: Struct = Struct {
    fields: &[
        ("displayName", Type::Text),
        ("description", Type::Text),
        ("tasks", Type::List(&PIPELINE_TASK)),
        ("params", Type::List(&PARAM_SPEC)),
        ("workspaces", Type::List(&PIPELINE_WORKSPACE)),
        ("results", Type::List(&PIPELINE_RESULT)),
        ("finally", Type::List(&PIPELINE_TASK)),
    ],
};
static PARAM_SPEC: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("type", Type::Text),
        ("description", Type::Text),
        ("properties", Type::StructMap(&PROPERTY)),
        ("default", Type::Value),
        ("enum", Type::Texts),
    ],
};
static PROPERTY: Struct = Struct { fields: &[("type", Type::Text)] };
static PIPELINE_WORKSPACE: Struct =
    Struct { fields: &[("name", Type::Text), ("description", Type::Text), ("optional", Type::Bool)] };
static PIPELINE_RESULT: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("type", Type::Text),
        ("description", Type::Text),
        ("value", Type::Required),
    ],
};
static PIPELINE_TASK: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("displayName", Type::Text),
        ("description", Type::Text),
        ("taskRef", Type::Struct(&REFERENCE)),
        ("taskSpec", Type::Struct(&EMBEDDED_TASK)),
        ("when", Type::List(&WHEN)),
        ("retries", Type::Int),
        ("runAfter", Type::Texts),
        ("params", Type::List(&PARAM)),
        ("matrix", Type::Struct(&MATRIX)),
        ("workspaces", Type::List(&TASK_WORKSPACE)),
        ("timeout", Type::Duration),
        ("pipelineRef", Type::Struct(&REFERENCE)),
        ("pipelineSpec", Type::Struct(&PIPELINE_SPEC)),
        ("onError", Type::Text),
    ],
};
static WHEN: Struct = Struct {
    fields: &[("input", Type::Text), ("operator", Type::Text), ("values", Type::Texts), ("cel", Type::Text)],
};
static MATRIX: Struct =
    Struct { fields: &[("params", Type::List(&PARAM)), ("include", Type::List(&INCLUDE))] };
static INCLUDE: Struct = Struct { fields: &[("name", Type::Text), ("params", Type::List(&PARAM))] };
static TASK_WORKSPACE: Struct =
    Struct { fields: &[("name", Type::Text), ("workspace", Type::Text), ("subPath", Type::Text)] };
/// A task inside a pipeline: the spec of a Task, or a custom task.
static EMBEDDED_TASK: Struct = Struct {
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("spec", Type::Raw),
        ("metadata", Type::Struct(&LABELS)),
        ("params", Type::List(&PARAM_SPEC)),
        ("displayName", Type::Text),
        ("description", Type::Text),
        ("steps", Type::List(&STEP)),
        ("volumes", Type::Opaque),
        ("stepTemplate", Type::Opaque),
        ("sidecars", Type::List(&SIDECAR)),
        ("workspaces", Type::List(&WORKSPACE_DECLARATION)),
        ("results", Type::List(&TASK_RESULT)),
    ],
};
/// `spec` of a Task.
pub static TASK_SPEC: Struct = Struct {
    fields: &[
        ("params", Type::List(&PARAM_SPEC)),
        ("displayName", Type::Text),
        ("description", Type::Text),
        ("steps", Type::List(&STEP)),
        ("volumes", Type::Opaque),
        ("stepTemplate", Type::Opaque),
        ("sidecars", Type::List(&SIDECAR)),
        ("workspaces", Type::List(&WORKSPACE_DECLARATION)),
        ("results", Type::List(&TASK_RESULT)),
    ],
};
static WORKSPACE_DECLARATION: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("description", Type::Text),
        ("mountPath", Type::Text),
        ("readOnly", Type::Bool),
        ("optional", Type::Bool),
    ],
};
static TASK_RESULT: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("type", Type::Text),
        ("properties", Type::StructMap(&PROPERTY)),
        ("description", Type::Text),
        ("value", Type::Value),
    ],
};
static STEP_RESULT: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("type", Type::Text),
        ("properties", Type::StructMap(&PROPERTY)),
        ("description", Type::Text),
    ],
};
static STEP: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("displayName", Type::Text),
        ("image", Type::Text),
        ("command", Type::Texts),
        ("args", Type::Texts),
        ("workingDir", Type::Text),
        ("envFrom", Type::List(&ENV_FROM)),
        ("env", Type::List(&ENV)),
        ("computeResources", Type::Struct(&RESOURCES)),
        ("volumeMounts", Type::List(&MOUNT)),
        ("volumeDevices", Type::List(&DEVICE)),
        ("imagePullPolicy", Type::Text),
        ("securityContext", Type::Opaque),
        ("script", Type::Text),
        ("timeout", Type::Duration),
        ("workspaces", Type::List(&WORKSPACE_USAGE)),
        ("onError", Type::Text),
        ("stdoutConfig", Type::Struct(&OUTPUT)),
        ("stderrConfig", Type::Struct(&OUTPUT)),
        ("ref", Type::Struct(&STEP_REFERENCE)),
        ("params", Type::List(&PARAM)),
        ("results", Type::List(&STEP_RESULT)),
        ("when", Type::List(&WHEN)),
    ],
};
static SIDECAR: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("image", Type::Text),
        ("command", Type::Texts),
        ("args", Type::Texts),
        ("workingDir", Type::Text),
        ("ports", Type::Opaque),
        ("envFrom", Type::List(&ENV_FROM)),
        ("env", Type::List(&ENV)),
        ("computeResources", Type::Struct(&RESOURCES)),
        ("volumeMounts", Type::List(&MOUNT)),
        ("volumeDevices", Type::List(&DEVICE)),
        ("livenessProbe", Type::Opaque),
        ("readinessProbe", Type::Opaque),
        ("startupProbe", Type::Opaque),
        ("lifecycle", Type::Opaque),
        ("terminationMessagePath", Type::Text),
        ("terminationMessagePolicy", Type::Text),
        ("imagePullPolicy", Type::Text),
        ("securityContext", Type::Opaque),
        ("stdin", Type::Bool),
        ("stdinOnce", Type::Bool),
        ("tty", Type::Bool),
        ("script", Type::Text),
        ("workspaces", Type::List(&WORKSPACE_USAGE)),
        ("restartPolicy", Type::Pointer),
    ],
};
static STEP_REFERENCE: Struct =
    Struct { fields: &[("name", Type::Text), ("resolver", Type::Text), ("params", Type::List(&PARAM))] };
static OUTPUT: Struct = Struct { fields: &[("path", Type::Text)] };
static WORKSPACE_USAGE: Struct = Struct { fields: &[("name", Type::Text), ("mountPath", Type::Text)] };
static MOUNT: Struct = Struct {
    fields: &[
        ("name", Type::Text),
        ("readOnly", Type::Bool),
        ("recursiveReadOnly", Type::Pointer),
        ("mountPath", Type::Text),
        ("subPath", Type::Text),
        ("mountPropagation", Type::Pointer),
        ("subPathExpr", Type::Text),
    ],
};
static DEVICE: Struct = Struct { fields: &[("name", Type::Text), ("devicePath", Type::Text)] };
static OBJECT_REFERENCE: Struct = Struct { fields: &[("name", Type::Text), ("optional", Type::Bool)] };
static KEY_REFERENCE: Struct =
    Struct { fields: &[("name", Type::Text), ("key", Type::Text), ("optional", Type::Bool)] };
static ENV_FROM: Struct = Struct {
    fields: &[
        ("prefix", Type::Text),
        ("configMapRef", Type::Struct(&OBJECT_REFERENCE)),
        ("secretRef", Type::Struct(&OBJECT_REFERENCE)),
    ],
};
static ENV: Struct = Struct {
    fields: &[("name", Type::Text), ("value", Type::Text), ("valueFrom", Type::Struct(&ENV_SOURCE))],
};
static ENV_SOURCE: Struct = Struct {
    fields: &[
        ("fieldRef", Type::Struct(&FIELD_REFERENCE)),
        ("resourceFieldRef", Type::Opaque),
        ("configMapKeyRef", Type::Struct(&KEY_REFERENCE)),
        ("secretKeyRef", Type::Struct(&KEY_REFERENCE)),
        ("fileKeyRef", Type::Opaque),
    ],
};
static FIELD_REFERENCE: Struct = Struct { fields: &[("apiVersion", Type::Text), ("fieldPath", Type::Text)] };
