//! The signature of `kube-public/cluster-info` by a bootstrap token: a JWS (RFC 7515) without its payload.

use crate::cluster::Secret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The stored value: header, nothing, HS256 over header and content.
pub fn detached(content: &[u8], token_id: &str, token_secret: &Secret) -> String {
    let id = serde_json::Value::from(token_id);
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":{id}}}"#));
    let key = hmac::Key::new(hmac::HMAC_SHA256, token_secret.expose().as_bytes());
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(content));
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

/// Whether `stored` is the signature of this content by this token. Takes as long for a wrong one as for the right
/// one.
pub fn verify(stored: &str, content: &[u8], token_id: &str, token_secret: &Secret) -> bool {
    let expected = detached(content, token_id, token_secret);
    verify_slices_are_equal(expected.as_bytes(), stored.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_kubernetes_stores() {
        let voice = "my voice is my passcode";
        let hello = "Hello from the other side. I must have called a thousand times.";
        let info = crate::pki::kubeconfig::cluster_info("https://api.example.com:6443", "CA");
        for (content, id, secret, expected) in [
            (
                hello,
                "joshua",
                voice,
                "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8",
            ),
            (
                "",
                "joshua",
                voice,
                "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk",
            ),
            (
                &info,
                "abcdef",
                "0123456789abcdef",
                "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..UA_qkEIzsUhxLIeYaccKjwpgsVkPfH9o1VPZxcfOXwg",
            ),
        ] {
            let (content, secret) = (content.as_bytes(), Secret::new(secret));
            assert_eq!(detached(content, id, &secret), expected);
            assert!(verify(expected, content, id, &secret));
            let others = [
                (expected[1..].to_owned(), content, id, secret.clone()),
                (expected.to_owned(), b"other".as_slice(), id, secret.clone()),
                (expected.to_owned(), content, "other", secret.clone()),
                (expected.to_owned(), content, id, Secret::new("other")),
                (String::new(), content, id, secret.clone()),
            ];
            for (stored, content, id, secret) in others {
                assert!(!verify(&stored, content, id, &secret));
            }
        }
    }
}
