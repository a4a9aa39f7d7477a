//! Finding the bootstrap token of an earlier run.

use crate::api::Api;
use crate::api::Selector;
use crate::cluster::Secret;
use crate::cluster::token::DEFAULT_GROUP;
use crate::plan::ObjectRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const TYPE: &str = "bootstrap.kubernetes.io/token";

/// A token that lives, may be used for joining, and signs `cluster-info`: what `init` makes when it is told nothing.
pub(super) fn default_token(api: &dyn Api, now: OffsetDateTime) -> Option<(String, Secret)> {
    let secrets = ObjectRef::new("v1", "Secret", "kube-system", "");
    let found = api.list(&secrets, &Selector::all().field("type", TYPE)).ok()?;
    found.iter().find_map(|secret| usable(secret, now))
}

fn usable(secret: &Value, now: OffsetDateTime) -> Option<(String, Secret)> {
    let field = |name: &str| {
        let text = secret["data"][name].as_str()?;
        String::from_utf8(STANDARD.decode(text).ok()?).ok()
    };
    for usage in ["usage-bootstrap-signing", "usage-bootstrap-authentication"] {
        field(usage).filter(|value| value == "true")?;
    }
    field("auth-extra-groups").filter(|groups| groups == DEFAULT_GROUP)?;
    let expires = field("expiration").map(|text| OffsetDateTime::parse(&text, &Rfc3339));
    let lives = expires.is_none_or(|time| time.is_ok_and(|time| time > now));
    lives.then_some(())?;
    Some((field("token-id")?, Secret::new(field("token-secret")?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    #[test]
    fn takes_only_a_token_that_joins_and_lives() {
        let now = datetime!(2026-01-01 00:00 UTC);
        let of = |text: &str| STANDARD.encode(text);
        let good = json!({"data": {
            "token-id": of("abcdef"), "token-secret": of("0123456789abcdef"),
            "usage-bootstrap-signing": of("true"), "usage-bootstrap-authentication": of("true"),
            "auth-extra-groups": of(DEFAULT_GROUP), "expiration": of("2026-01-01T01:00:00Z"),
        }});
        assert_eq!(usable(&good, now).map(|(id, _)| id).as_deref(), Some("abcdef"));
        for (field, value) in [
            ("expiration", json!(of("2025-12-31T23:00:00Z"))),
            ("usage-bootstrap-signing", Value::Null),
            ("auth-extra-groups", json!(of("system:bootstrappers:other"))),
        ] {
            let mut bad = good.clone();
            bad["data"][field] = value;
            assert!(usable(&bad, now).is_none(), "{field}");
        }
    }
}
