//! Bootstrap tokens, and what a node may do with one.

use crate::cluster::Node;
use crate::kube::objects::bootstrap_token;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::objects;

/// Plans the tokens, their rights, and the public record of where the API is.
pub fn plan(cx: &Context<'_>, _: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    Ok(objects::replaced(bootstrap_token::objects(cx.cluster), "a node joins with a token and nothing else"))
}
