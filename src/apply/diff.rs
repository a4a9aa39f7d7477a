//! Differences as text, without secrets.

use crate::apply::compare::cut_to;
use crate::pki::Part;
use crate::plan::Content;
use crate::plan::Object;
use crate::plan::object::HIDDEN;
use crate::plan::object::hide_secret_data;
use serde_json::Value;
use similar::TextDiff;

/// Keys whose values are nobody's business in YAML or JSON.
const SECRET_KEYS: [&str; 7] =
    ["-data", "token", "token-secret", "password", "secret", "certificateKey", "auth-token"];

/// The difference between a file as it is and as it will be.
pub fn file(path: &str, content: &Content, old: Option<&[u8]>, new: &[u8]) -> String {
    if let Content::Pki { part: Part::Key | Part::Pair, .. } = content {
        return format!("{path}: a private key, {}\n", if old.is_some() { "replaced" } else { "new" });
    }
    match (std::str::from_utf8(old.unwrap_or_default()), std::str::from_utf8(new)) {
        (Ok(old_text), Ok(new_text)) => masked_text(path, old.map(|_| old_text), new_text),
        _ => format!("{path}: binary, {} bytes\n", new.len()),
    }
}

/// The difference between a live object and the wanted one, in the fields that the wanted one speaks of. `filled` is
/// the object with its holes filled; they are hidden here.
pub fn object(name: &str, object: &Object, live: Option<&Value>, filled: &Value) -> String {
    whole(name, object, live.map(|live| cut_to(filled, live)).as_ref(), filled)
}

/// The difference between an object before and after, in all its fields.
pub fn whole(name: &str, object: &Object, before: Option<&Value>, after: &Value) -> String {
    let hide = |value: &Value| {
        let mut value = value.clone();
        for hole in &object.holes {
            if let Some(place) = value.pointer_mut(&hole.pointer) {
                *place = HIDDEN.into();
            }
        }
        hide_secret_data(&mut value);
        serde_yaml::to_string(&value).unwrap_or_default()
    };
    masked_text(name, before.map(hide).as_deref(), &hide(after))
}

fn masked_text(name: &str, old: Option<&str>, new: &str) -> String {
    let (from, to) = (old.map_or("/dev/null", |_| name), name);
    let (old_masked, new_masked) = (mask(old.unwrap_or_default()), mask(new));
    if old_masked == new_masked && old != Some(new) {
        return format!("{name}: only hidden values differ\n");
    }
    TextDiff::from_lines(&old_masked, &new_masked)
        .unified_diff()
        .context_radius(2)
        .header(from, to)
        .to_string()
}

/// Hides private keys and the values of secret keys.
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        if in_key {
            in_key = !line.contains("-----END");
            continue;
        }
        if begins {
            in_key = !line.contains("-----END");
            masked.push_str("<hidden private key>\n");
        } else {
            masked.push_str(&mask_line(line));
        }
    }
    masked
}

fn mask_line(line: &str) -> String {
    let hidden = line.split_once(':').and_then(|(key, value)| {
        let name = key.trim().trim_start_matches("- ").trim_matches(['"', '\'']);
        let secret = SECRET_KEYS
            .iter()
            .any(|secret| name == *secret || (*secret == "-data" && name.ends_with(secret)));
        let value = value.trim_end();
        (secret && !value.trim().is_empty()).then(|| {
            let end = &line[key.len() + 1 + value.len()..];
            format!("{key}: {HIDDEN}{end}")
        })
    });
    hidden.unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::CertName;
    use crate::plan::Fill;
    use serde_json::json;

    #[test]
    fn hides_what_is_secret() {
        let text = "users:\n- name: admin\n  user:\n    client-key-data: c2VjcmV0\n    token: abcdef.0123456789abcdef\n\
                    server: https://a:6443\n-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\nend\n";
        let masked = mask(text);
        for secret in ["c2VjcmV0", "0123456789abcdef", "AAAA"] {
            assert!(!masked.contains(secret), "{masked}");
        }
        assert!(masked.contains("server: https://a:6443\n<hidden private key>\nend\n"), "{masked}");
    }

    #[test]
    fn shows_text_and_never_a_key() {
        let text = Content::Text(String::new());
        let shown = file("/etc/x", &text, Some(b"a\nb\n"), b"a\nc\n");
        assert_eq!(shown, "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        let key = Content::Pki { node: "cp1".into(), cert: CertName::Admin, part: Part::Key };
        assert_eq!(file("/k", &key, None, b"very secret"), "/k: a private key, new\n");
        let same = file("/k", &text, Some(b"token: a\n"), b"token: b\n");
        assert_eq!(same, "/k: only hidden values differ\n");
    }

    #[test]
    fn hides_the_holes_of_objects() {
        let secret = Object::plain(json!({"kind": "Secret", "data": {"a": "c2VjcmV0"}}));
        assert!(!object("s", &secret, None, &secret.value).contains("c2VjcmV0"));
        let map = Object::plain(json!({"kind": "ConfigMap", "data": {"shown": "x"}}))
            .hole("/data/hole", Fill::ClusterInfo { server: String::new() });
        let filled = json!({"kind": "ConfigMap", "data": {"shown": "y", "hole": "filled"}});
        let live =
            json!({"kind": "ConfigMap", "data": {"shown": "x", "hole": "old"}, "metadata": {"uid": "1"}});
        let text = object("m", &map, Some(&live), &filled);
        assert!(!text.contains("filled") && !text.contains("old") && !text.contains("uid"), "{text}");
        assert!(text.contains("-  shown: x") && text.contains("+  shown:"), "{text}");
    }
}
