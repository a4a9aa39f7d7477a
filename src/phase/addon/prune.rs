//! What add-ons no longer contain, and add-ons that are no longer wanted: gone again, and nothing else.

use super::bundle::Bundle;
use super::bundle::before;
use super::bundle::server_side;
use super::inventory;
use crate::phase::Context;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::DeleteSpec;
use crate::plan::ObjectRef;
use std::collections::BTreeSet;

/// Definitions of kinds stay: with one go all objects of its kind, and those are the operator's.
const STAYS: &str = "CustomResourceDefinition";

/// Plans what goes, the last that came first, and the notes as they are to be then.
pub(super) fn drafts(cx: &Context<'_>, wanted: &[Bundle]) -> Vec<Draft> {
    let everything: BTreeSet<ObjectRef> = wanted.iter().flat_map(Bundle::members).collect();
    let mut drafts = Vec::new();
    for installed in cx.running.addons.iter().filter(|installed| cx.includes_addon(&installed.name)) {
        let bundle = wanted.iter().find(|bundle| bundle.name == installed.name);
        let members = bundle.map(Bundle::members).unwrap_or_default();
        let there = before(cx.running, &installed.name);
        let gone: Vec<&ObjectRef> = there.iter().filter(|member| !members.contains(member)).collect();
        if gone.is_empty() && bundle.is_some() {
            continue;
        }
        let goes = |member: &&&ObjectRef| member.kind != STAYS && !everything.contains(**member);
        let reason = match bundle {
            Some(_) => format!("the add-on {} no longer contains it", installed.name),
            None => format!("the add-on {} is no longer wanted", installed.name),
        };
        drafts.extend(gone.iter().rev().filter(goes).map(|member| deleted(member, &reason)));
        drafts.push(match bundle {
            Some(bundle) => server_side(
                inventory::object(&bundle.name, &members),
                "what is gone no longer belongs to the add-on",
            ),
            None => deleted(&inventory::name(&installed.name), "nothing is left of the add-on"),
        });
    }
    drafts
}

fn deleted(member: &ObjectRef, reason: &str) -> Draft {
    let spec = DeleteSpec { object: member.clone(), unless_used: member.kind == "Namespace" };
    Draft::new(member.to_string(), reason, Action::Delete(spec))
}
