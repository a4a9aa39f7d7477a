//! Bootstrap tokens as their Secrets hold them: read back, and shown as kubeadm shows them.

use crate::cluster::Secret;
use crate::cluster::token::DEFAULT_GROUP;
use crate::kube::objects::KUBE_SYSTEM;
use crate::pki::columns::aligned;
use crate::plan::ObjectRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The type of a token's Secret.
pub const TYPE: &str = "bootstrap.kubernetes.io/token";

const NAME_PREFIX: &str = "bootstrap-token-";
const USAGE_PREFIX: &str = "usage-bootstrap-";

/// A token that a cluster knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    pub id: String,
    pub secret: Secret,
    pub description: String,
    /// `None`: never.
    pub expires: Option<OffsetDateTime>,
    /// Sorted.
    pub usages: Vec<String>,
    pub groups: Vec<String>,
}

/// The Secret of the token with this id.
pub fn secret_ref(id: &str) -> ObjectRef {
    ObjectRef::new("v1", "Secret", KUBE_SYSTEM, &format!("{NAME_PREFIX}{id}"))
}

/// Reads a token from its Secret.
///
/// # Errors
/// It is none that anybody can use; the text says why, and holds no secret.
pub fn read(secret: &Value) -> Result<StoredToken, String> {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default();
    let field = |key: &str| field(&secret["data"], key);
    let id = field("token-id").ok_or_else(|| format!("the Secret {name} has no token-id"))?;
    if name != format!("{NAME_PREFIX}{id}") {
        return Err(format!(
            "the Secret {name} holds the token {id}, whose Secret must be {NAME_PREFIX}{id}"
        ));
    }
    let token = field("token-secret").ok_or_else(|| format!("the Secret {name} has no token-secret"))?;
    if !is_word(&id, 6) || !is_word(&token, 16) {
        return Err(format!("the Secret {name} holds no token of six and sixteen characters of a-z0-9"));
    }
    let expires = field("expiration").map(|text| {
        let time = OffsetDateTime::parse(&text, &Rfc3339);
        time.map_err(|_| format!("the Secret {name} expires at `{text}`, which is not a time of RFC 3339"))
    });
    let groups = field("auth-extra-groups").unwrap_or_default();
    Ok(StoredToken {
        id,
        secret: Secret::new(token),
        description: field("description").unwrap_or_default(),
        expires: expires.transpose()?,
        usages: usages(&secret["data"]),
        groups: groups.split(',').filter(|group| !group.is_empty()).map(str::to_owned).collect(),
    })
}

fn field(data: &Value, key: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(data[key].as_str()?).ok()?).ok()?;
    (!text.is_empty()).then_some(text)
}

fn usages(data: &Value) -> Vec<String> {
    let keys = data.as_object().map(Map::keys).into_iter().flatten();
    let granted = keys.filter(|key| field(data, key).as_deref() == Some("true"));
    let mut usages: Vec<String> =
        granted.filter_map(|key| key.strip_prefix(USAGE_PREFIX)).map(str::to_owned).collect();
    usages.sort();
    usages
}

fn is_word(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

impl StoredToken {
    /// What `init` makes when it is told nothing, and it still lives: it joins workers and signs `cluster-info`.
    pub fn joins_nodes(&self, now: OffsetDateTime) -> bool {
        self.expires.is_none_or(|time| time > now)
            && self.usages == ["authentication", "signing"]
            && self.groups == [DEFAULT_GROUP]
    }

    /// `id.secret`; the caller answers for where it goes.
    pub fn exposed(&self) -> String {
        format!("{}.{}", self.id, self.secret.expose())
    }

    /// kubeadm's `BootstrapToken`, secret included, as kubeadm prints it.
    pub fn document(&self) -> Value {
        let mut value = Map::new();
        let mut set = |key: &str, field: Value| value.insert(key.to_owned(), field);
        set("kind", "BootstrapToken".into());
        set("apiVersion", "output.kubeadm.k8s.io/v1alpha3".into());
        set("token", self.exposed().into());
        if !self.description.is_empty() {
            set("description", self.description.as_str().into());
        }
        if let Some(expires) = self.expires {
            set("expires", timestamp(expires).into());
        }
        for (key, list) in [("usages", &self.usages), ("groups", &self.groups)] {
            if !list.is_empty() {
                set(key, list.clone().into());
            }
        }
        Value::Object(value)
    }

    fn cells(&self, now: OffsetDateTime) -> Vec<String> {
        let or_none = |text: String| if text.is_empty() { "<none>".to_owned() } else { text };
        let ttl = self.expires.map_or_else(|| "<forever>".to_owned(), |time| short(time - now));
        vec![
            self.exposed(),
            format!("{ttl:<9}"),
            self.expires.map_or_else(|| "<never>".to_owned(), timestamp),
            format!("{:<22}", or_none(self.usages.join(","))),
            format!("{:<56}", or_none(self.description.clone())),
            or_none(self.groups.join(",")),
        ]
    }
}

/// kubeadm's columns, aligned over all rows; nothing where there is no token.
pub fn table(tokens: &[StoredToken], now: OffsetDateTime) -> String {
    if tokens.is_empty() {
        return String::new();
    }
    let header = ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(tokens.iter().map(|token| token.cells(now)));
    aligned(&rows)
}

/// A duration in one unit, as kubectl's narrow columns have it.
fn short(duration: Duration) -> String {
    let (seconds, minutes, hours) =
        (duration.whole_seconds(), duration.whole_minutes(), duration.whole_hours());
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..60 => format!("{seconds}s"),
        _ if minutes < 60 => format!("{minutes}m"),
        _ if hours < 24 => format!("{hours}h"),
        _ if hours < 24 * 365 => format!("{}d", hours / 24),
        _ => format!("{}y", hours / (24 * 365)),
    }
}

fn timestamp(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn secret(name: &str, fields: &[(&str, &str)]) -> Value {
        let mut data = json!({});
        for (key, value) in fields {
            data[*key] = STANDARD.encode(value).into();
        }
        json!({"metadata": {"name": name}, "data": data})
    }

    fn good() -> Vec<(&'static str, &'static str)> {
        vec![
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-signing", "true"),
            ("usage-bootstrap-authentication", "true"),
            ("auth-extra-groups", DEFAULT_GROUP),
            ("expiration", "2026-01-01T01:00:00Z"),
        ]
    }

    fn changed(key: &'static str, value: &'static str) -> Value {
        let mut fields = good();
        fields.retain(|(name, _)| *name != key);
        fields.push((key, value));
        secret("bootstrap-token-abcdef", &fields)
    }

    #[test]
    fn reads_what_a_secret_holds() {
        let token = read(&changed("description", "a b")).unwrap();
        assert_eq!((token.id.as_str(), token.secret.expose()), ("abcdef", "0123456789abcdef"));
        assert_eq!(token.usages, ["authentication", "signing"]);
        assert_eq!(token.expires, Some(datetime!(2026-01-01 01:00 UTC)));
        let bare = read(&secret("bootstrap-token-abcdef", &good()[..2])).unwrap();
        assert_eq!((bare.usages.len(), bare.groups.len(), bare.expires), (0, 0, None));
        let refused = read(&changed("usage-bootstrap-signing", "false")).unwrap();
        assert_eq!(refused.usages, ["authentication"]);
    }

    #[test]
    fn says_what_is_wrong_with_a_secret_without_telling_it() {
        for (secret, expected) in [
            (json!({}), "the Secret  has no token-id"),
            (secret("bootstrap-token-foobar", &good()), "whose Secret must be bootstrap-token-abcdef"),
            (changed("token-secret", ""), "has no token-secret"),
            (changed("token-secret", "0123456789ABCDEF"), "holds no token of six and sixteen"),
            (changed("expiration", "tomorrow"), "expires at `tomorrow`, which is not a time"),
        ] {
            let error = read(&secret).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("0123456789"), "{error}");
        }
    }

    #[test]
    fn only_a_token_that_joins_and_lives_is_taken_over() {
        assert!(read(&changed("description", "")).unwrap().joins_nodes(NOW));
        for (key, value) in [
            ("expiration", "2025-12-31T23:00:00Z"),
            ("usage-bootstrap-signing", ""),
            ("auth-extra-groups", "system:bootstrappers:other"),
        ] {
            assert!(!read(&changed(key, value)).unwrap().joins_nodes(NOW), "{key}");
        }
    }

    #[test]
    fn the_table_is_kubeadms() {
        let mut forever = read(&changed("description", "a b")).unwrap();
        forever.expires = None;
        let mut gone = read(&changed("expiration", "2025-12-31T23:59:58Z")).unwrap();
        (gone.usages, gone.groups) = (Vec::new(), Vec::new());
        // As kubeadm prints one row; over several rows it aligns each for itself.
        let expected = [
            "TOKEN                     TTL         EXPIRES   USAGES                   DESCRIPTION                                                EXTRA GROUPS\n",
            "abcdef.0123456789abcdef   <forever>   <never>   authentication,signing   a b                                                        system:bootstrappers:kubeadm:default-node-token\n",
        ];
        assert_eq!(table(std::slice::from_ref(&forever), NOW), expected.concat());
        assert_eq!(table(&[], NOW), "");
        let both = table(&[forever, gone], NOW);
        let last = both.lines().last().unwrap();
        let cells: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(
            cells,
            ["abcdef.0123456789abcdef", "<invalid>", "2025-12-31T23:59:58Z", "<none>", "<none>", "<none>"]
        );
    }

    #[test]
    fn the_document_is_kubeadms() {
        let token = read(&changed("description", "a b")).unwrap();
        assert_eq!(
            token.document(),
            json!({"kind": "BootstrapToken", "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
                "token": "abcdef.0123456789abcdef", "description": "a b", "expires": "2026-01-01T01:00:00Z",
                "usages": ["authentication", "signing"], "groups": [DEFAULT_GROUP]})
        );
        let bare = read(&secret("bootstrap-token-abcdef", &good()[..2])).unwrap().document();
        assert_eq!(bare.as_object().unwrap().len(), 3, "{bare}");
    }

    #[test]
    fn short_durations_have_one_unit() {
        for (seconds, expected) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (86_399, "23h"),
            (86_400, "1d"),
            (364 * 86_400, "364d"),
            (366 * 86_400, "1y"),
        ] {
            assert_eq!(short(Duration::seconds(seconds)), expected);
        }
    }
}
