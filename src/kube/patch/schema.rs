//! Which lists of a Pod and a Deployment merge, and by which key.
//!
//! From the `patchStrategy` and `patchMergeKey` tags of the Kubernetes v1.36 API types. A field that is not named
//! here is plain: a mapping merges field by field, a list is replaced.

/// The fields of a type that are not plain.
pub(super) struct Schema(&'static [(&'static str, Field)]);

pub(super) enum Field {
    /// A mapping with a schema of its own.
    Mapping(&'static Schema),
    /// A list of mappings that merges by this key; its items have a schema.
    Keyed(&'static str, &'static Schema),
    /// A list of simple values that merges as a set.
    Set,
}

impl Schema {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, field)| field)
    }
}

use Field::Keyed;
use Field::Mapping;
use Field::Set;

pub(super) static PLAIN: Schema = Schema(&[]);

pub(super) static POD: Schema = Schema(&[
    ("metadata", Mapping(&METADATA)),
    ("spec", Mapping(&POD_SPEC)),
    ("status", Mapping(&POD_STATUS)),
]);

pub(super) static DEPLOYMENT: Schema = Schema(&[
    ("metadata", Mapping(&METADATA)),
    ("spec", Mapping(&DEPLOYMENT_SPEC)),
    ("status", Mapping(&DEPLOYMENT_STATUS)),
]);

static METADATA: Schema = Schema(&[("finalizers", Set), ("ownerReferences", Keyed("uid", &PLAIN))]);

static DEPLOYMENT_SPEC: Schema = Schema(&[("template", Mapping(&POD_TEMPLATE))]);

static DEPLOYMENT_STATUS: Schema = Schema(&[("conditions", Keyed("type", &PLAIN))]);

static POD_TEMPLATE: Schema = Schema(&[("metadata", Mapping(&METADATA)), ("spec", Mapping(&POD_SPEC))]);

static POD_SPEC: Schema = Schema(&[
    ("containers", Keyed("name", &CONTAINER)),
    ("ephemeralContainers", Keyed("name", &CONTAINER)),
    ("hostAliases", Keyed("ip", &PLAIN)),
    ("imagePullSecrets", Keyed("name", &PLAIN)),
    ("initContainers", Keyed("name", &CONTAINER)),
    ("resourceClaims", Keyed("name", &PLAIN)),
    ("schedulingGates", Keyed("name", &PLAIN)),
    ("topologySpreadConstraints", Keyed("topologyKey", &PLAIN)),
    ("volumes", Keyed("name", &PLAIN)),
]);

static CONTAINER: Schema = Schema(&[
    ("env", Keyed("name", &PLAIN)),
    ("ports", Keyed("containerPort", &PLAIN)),
    ("volumeDevices", Keyed("devicePath", &PLAIN)),
    ("volumeMounts", Keyed("mountPath", &PLAIN)),
]);

static POD_STATUS: Schema = Schema(&[
    ("conditions", Keyed("type", &PLAIN)),
    ("hostIPs", Keyed("ip", &PLAIN)),
    ("podIPs", Keyed("ip", &PLAIN)),
    ("resourceClaimStatuses", Keyed("name", &PLAIN)),
]);
