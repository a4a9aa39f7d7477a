//! Kubeconfig files: written in kubeadm's layout, and read as far as adopting one needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use std::fmt::Write;
use zeroize::Zeroizing;

/// What a kubeconfig says.
#[derive(Debug, Clone, Copy)]
pub struct Kubeconfig<'a> {
    pub cluster_name: &'a str,
    pub server: &'a str,
    /// In PEM; left out of the file when `None`, as in one that waits for its certificate to be signed.
    pub authority: Option<&'a str>,
    pub user: &'a str,
    pub credential: Credential<'a>,
}

/// How the user proves who it is. It prints without what is secret.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// Certificate and key in PEM, inside the file.
    Data {
        certificate: &'a [u8],
        key: &'a [u8],
    },
    /// Certificate and key in one file on the host.
    File(&'a str),
    /// The key alone, until its certificate is signed.
    KeyOnly(&'a str),
    Token(&'a str),
}

/// The parts of an existing kubeconfig that its validation looks at, all of its current context.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "it holds a key")]
pub struct Parsed {
    /// What the file calls the cluster.
    pub cluster_name: String,
    pub server: String,
    /// `certificate-authority-data`, decoded.
    pub authority: Vec<u8>,
    /// `certificate-authority`, the path that counts when there are no data.
    pub authority_file: String,
    /// `client-certificate-data` and `client-key-data`, decoded.
    pub client_certificate: Vec<u8>,
    pub client_key: Zeroizing<Vec<u8>>,
    /// `client-certificate`, a path.
    pub client_certificate_file: String,
}

impl Kubeconfig<'_> {
    /// The file's text, key for key as kubeadm writes it.
    pub fn render(&self) -> Zeroizing<String> {
        let user = scalar(self.user);
        let context = scalar(&format!("{}@{}", self.user, self.cluster_name));
        let cluster = scalar(self.cluster_name);
        let authority = self.authority.map_or_else(String::new, |authority| {
            format!("    certificate-authority-data: {}\n", STANDARD.encode(authority))
        });
        Zeroizing::new(format!(
            "apiVersion: v1\nclusters:\n- cluster:\n{authority}    server: {server}\n  name: {cluster}\n\
             contexts:\n- context:\n    cluster: {cluster}\n    user: {user}\n  name: {context}\n\
             current-context: {context}\nkind: Config\nusers:\n- name: {user}\n  user:\n{credential}",
            server = scalar(self.server),
            credential = self.credential.lines().as_str(),
        ))
    }
}

impl Credential<'_> {
    fn lines(&self) -> Zeroizing<String> {
        let data = |key: &[u8]| Zeroizing::new(STANDARD.encode(key));
        let mut text = Zeroizing::new(String::new());
        let written = match self {
            Self::Data { certificate, key } => write!(
                text,
                "    client-certificate-data: {}\n    client-key-data: {}\n",
                data(certificate).as_str(),
                data(key).as_str()
            ),
            Self::File(path) => {
                let path = scalar(path);
                write!(text, "    client-certificate: {path}\n    client-key: {path}\n")
            }
            Self::KeyOnly(key) => writeln!(text, "    client-key-data: {}", data(key.as_bytes()).as_str()),
            Self::Token(token) => writeln!(text, "    token: {}", scalar(token)),
        };
        written.expect("a string takes any text");
        text
    }
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Data { .. } => f.write_str("Data(…)"),
            Self::File(path) => write!(f, "File({path})"),
            Self::KeyOnly(_) => f.write_str("KeyOnly(…)"),
            Self::Token(_) => f.write_str("Token(…)"),
        }
    }
}

/// The `cluster-info` kubeconfig: where the API is and whom to trust, nothing else.
pub fn cluster_info(server: &str, authority: &str) -> String {
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: {}\n  name: \"\"\n\
         contexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n",
        STANDARD.encode(authority),
        scalar(server)
    )
}

/// Reads the current context of a kubeconfig. The error says what is missing.
pub fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let root: Value = serde_yaml::from_slice(bytes).map_err(|error| format!("it is not YAML: {error}"))?;
    let current = text(&root, "current-context");
    let context = named(&root, "contexts", &current, "context")
        .ok_or_else(|| format!("its current context `{current}` does not exist"))?;
    let cluster_name = text(context, "cluster");
    let cluster = named(&root, "clusters", &cluster_name, "cluster")
        .ok_or_else(|| format!("the cluster `{cluster_name}` of its current context does not exist"))?;
    let mut parsed = Parsed {
        cluster_name: cluster_name.clone(),
        server: text(cluster, "server"),
        authority: data(cluster, "certificate-authority-data")?,
        authority_file: text(cluster, "certificate-authority"),
        ..Parsed::default()
    };
    if let Some(user) = named(&root, "users", &text(context, "user"), "user") {
        parsed.client_certificate = data(user, "client-certificate-data")?;
        parsed.client_key = Zeroizing::new(data(user, "client-key-data")?);
        parsed.client_certificate_file = text(user, "client-certificate");
    }
    Ok(parsed)
}

/// A kubeconfig whose current context has this authority, certificate and key, all in PEM, and is otherwise what it was.
/// The error says why the file is none of those that hold their credentials themselves.
pub fn renewed(
    bytes: &[u8],
    authority: &str,
    certificate: &str,
    key: &str,
) -> Result<Zeroizing<String>, String> {
    let parsed = parse(bytes)?;
    if parsed.authority.is_empty() || parsed.client_certificate.is_empty() {
        let what = "it names files instead of holding its authority and its certificate";
        return Err(format!("{what}; renew those, or make it anew with `kubewright init phase kubeconfig`"));
    }
    let mut root: Value =
        serde_yaml::from_slice(bytes).map_err(|error| format!("it is not YAML: {error}"))?;
    let current = text(&root, "current-context");
    let user = named(&root, "contexts", &current, "context").map(|context| text(context, "user"));
    let mut set = |list: &str, name: &str, entry: &str, key: &str, pem: &str| {
        let entries = root.get_mut(list).and_then(Value::as_sequence_mut).into_iter().flatten();
        let found = entries.into_iter().find(|found| found.get("name").and_then(Value::as_str) == Some(name));
        if let Some(mapping) = found.and_then(|found| found.get_mut(entry)?.as_mapping_mut()) {
            mapping.insert(key.into(), STANDARD.encode(pem).into());
        }
    };
    let user = user.unwrap_or_default();
    set("clusters", &parsed.cluster_name, "cluster", "certificate-authority-data", authority);
    set("users", &user, "user", "client-certificate-data", certificate);
    set("users", &user, "user", "client-key-data", key);
    serde_yaml::to_string(&root).map(Zeroizing::new).map_err(|error| error.to_string())
}

/// The server that a `cluster-info` kubeconfig names, which has no current context.
pub fn cluster_info_server(bytes: &[u8]) -> Option<String> {
    let root: Value = serde_yaml::from_slice(bytes).ok()?;
    let server = root.get("clusters")?.as_sequence()?.first()?.get("cluster")?.get("server")?;
    server.as_str().map(str::to_owned)
}

fn named<'a>(root: &'a Value, list: &str, name: &str, key: &str) -> Option<&'a Value> {
    let entries = root.get(list)?.as_sequence()?;
    entries.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))?.get(key)
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn data(value: &Value, key: &str) -> Result<Vec<u8>, String> {
    let encoded = text(value, key);
    let encoded: String = encoded.split_whitespace().collect();
    STANDARD.decode(encoded).map_err(|_| format!("its `{key}` is not base64"))
}

/// A string as a YAML scalar that reads back as that string, under YAML 1.1 too.
fn scalar(value: &str) -> String {
    const WORDS: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan"];
    let first = value.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@[]".contains(&byte);
    let word = WORDS.contains(&value.to_ascii_lowercase().as_str());
    if first && value.bytes().all(plain) && !value.ends_with(':') && !word {
        value.to_owned()
    } else {
        serde_json::Value::from(value).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Kubeconfig<'static> = Kubeconfig {
        cluster_name: "kubernetes",
        server: "https://192.0.2.10:6443",
        authority: Some("CA"),
        user: "kubernetes-admin",
        credential: Credential::Data { certificate: b"CRT", key: b"KEY" },
    };

    #[test]
    fn has_kubeadms_layout() {
        let expected = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: Q0E=\n    \
            server: https://192.0.2.10:6443\n  name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    \
            user: kubernetes-admin\n  name: kubernetes-admin@kubernetes\n\
            current-context: kubernetes-admin@kubernetes\nkind: Config\nusers:\n- name: kubernetes-admin\n  user:\n    \
            client-certificate-data: Q1JU\n    client-key-data: S0VZ\n";
        assert_eq!(SAMPLE.render().as_str(), expected);
    }

    #[test]
    fn credentials_can_be_a_file_a_token_or_a_lone_key() {
        for (credential, expected) in [
            (Credential::File("/a/b.pem"), "    client-certificate: /a/b.pem\n    client-key: /a/b.pem\n"),
            (Credential::Token("abc"), "    token: abc\n"),
            (Credential::Token("123456.0123456789012345"), "    token: \"123456.0123456789012345\"\n"),
            (Credential::KeyOnly("KEY"), "    client-key-data: S0VZ\n"),
        ] {
            let text = Kubeconfig { credential, authority: None, ..SAMPLE }.render();
            assert!(text.ends_with(&format!("  user:\n{expected}")), "{}", text.as_str());
            assert!(!text.contains("certificate-authority-data"));
        }
    }

    #[test]
    fn names_read_back_as_strings() {
        for name in
            ["kubernetes", "123", "1e3", "yes", "a: b", "it's", "", "null", "0x1f", "a#b", "ü", "-", "a:"]
        {
            let text = Kubeconfig { cluster_name: name, ..SAMPLE }.render();
            let value: Value = serde_yaml::from_str(&text).unwrap();
            assert_eq!(value["clusters"][0]["name"].as_str(), Some(name));
            assert_eq!(value["contexts"][0]["context"]["cluster"].as_str(), Some(name));
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let parsed = parse(SAMPLE.render().as_bytes()).unwrap();
        assert_eq!(parsed.server, "https://192.0.2.10:6443");
        assert_eq!(parsed.cluster_name, "kubernetes");
        assert_eq!(parsed.authority, b"CA");
        assert_eq!(parsed.client_certificate, b"CRT");
        assert_eq!(parsed.client_key.as_slice(), b"KEY");
    }

    #[test]
    fn says_what_is_missing() {
        for (text, expected) in [
            ("a: [", "it is not YAML"),
            ("", "current context `` does not exist"),
            ("current-context: x\ncontexts: [{name: x, context: {cluster: y}}]", "the cluster `y`"),
            (
                "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\n\
                 clusters: [{name: y, cluster: {certificate-authority-data: '!'}}]",
                "is not base64",
            ),
        ] {
            let error = parse(text.as_bytes()).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn cluster_info_has_no_names() {
        let text = cluster_info("https://api.example.com:6443", "CA");
        assert!(
            text.starts_with("apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: Q0E=\n")
        );
        let server = cluster_info_server(text.as_bytes());
        assert_eq!(server.as_deref(), Some("https://api.example.com:6443"));
        assert!(text.ends_with("contexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n"));
    }

    #[test]
    fn debug_shows_no_credential() {
        assert!(!format!("{SAMPLE:?}").contains("KEY"));
    }
}
