//! Structures of `core/v1` that configurations borrow.

use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::field;

pub const TAINT_EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
pub const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
pub const HOST_PATH_TYPES: &[&str] =
    &["DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

pub static TAINT: Schema = Schema {
    name: "Taint",
    fields: &[
        field("key", Shape::Text, "the taint's key").keep(),
        field("value", Shape::Text, "the taint's value"),
        field("effect", Shape::Advice(TAINT_EFFECTS), "what happens to pods that do not tolerate it").keep(),
        field("timeAdded", Shape::Time, "when it was added").pointer(),
    ],
};

pub static ENV_VAR: Schema = Schema {
    name: "EnvVar",
    fields: &[
        field("name", Shape::Text, "name of the variable").keep(),
        field("value", Shape::Text, "its value; $(NAME) is expanded"),
        field("valueFrom", Shape::Object(&ENV_VAR_SOURCE), "takes the value from elsewhere").pointer(),
    ],
};

static ENV_VAR_SOURCE: Schema = Schema {
    name: "EnvVarSource",
    fields: &[
        field("fieldRef", Shape::Object(&FIELD_REF), "a field of the pod").pointer(),
        field("resourceFieldRef", Shape::Object(&RESOURCE_FIELD_REF), "a resource of the container")
            .pointer(),
        field("configMapKeyRef", Shape::Object(&KEY_REF), "a key of a ConfigMap").pointer(),
        field("secretKeyRef", Shape::Object(&KEY_REF), "a key of a Secret").pointer(),
        field("fileKeyRef", Shape::Object(&FILE_KEY_REF), "a key of an environment file").pointer(),
    ],
};

static FIELD_REF: Schema = Schema {
    name: "ObjectFieldSelector",
    fields: &[
        field("apiVersion", Shape::Text, "version of the schema, v1 by default"),
        field("fieldPath", Shape::Text, "path of the field, such as status.podIP").keep(),
    ],
};

static RESOURCE_FIELD_REF: Schema = Schema {
    name: "ResourceFieldSelector",
    fields: &[
        field("containerName", Shape::Text, "the container"),
        field("resource", Shape::Text, "the resource, such as limits.cpu").keep(),
        field("divisor", Shape::Quantity, "unit of the result"),
    ],
};

static KEY_REF: Schema = Schema {
    name: "KeySelector",
    fields: &[
        field("name", Shape::Text, "name of the object"),
        field("key", Shape::Text, "key within it").keep(),
        field("optional", Shape::Bool, "whether it may be missing").pointer(),
    ],
};

static FILE_KEY_REF: Schema = Schema {
    name: "FileKeySelector",
    fields: &[
        field("volumeName", Shape::Text, "volume that holds the file").keep(),
        field("path", Shape::Text, "path within the volume").keep(),
        field("key", Shape::Text, "key within the file").keep(),
        field("optional", Shape::Bool, "whether it may be missing").pointer(),
    ],
};
