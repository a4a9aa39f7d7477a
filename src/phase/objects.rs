//! API objects as steps.

use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Identity;
use crate::plan::Object;
use crate::plan::ObjectRef;
use crate::plan::ObjectSpec;

/// Objects that are created, or wholly replaced when they differ, as kubeadm does.
pub fn replaced(objects: Vec<Object>, reason: &str) -> Vec<Draft> {
    objects
        .into_iter()
        .map(|object| draft(object, ApplyHow::CreateOrReplace, Identity::Admin, reason))
        .collect()
}

/// One object, its own name as the title.
pub fn draft(object: Object, how: ApplyHow, identity: Identity, reason: &str) -> Draft {
    let title = ObjectRef::of(&object.value).to_string();
    Draft::new(title, reason, Action::Object(ObjectSpec { object, how, identity }))
}
