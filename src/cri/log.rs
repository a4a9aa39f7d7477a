//! Logs of containers, as runtimes write them for the kubelet: a time, a stream, `F` or `P`, and the line.

use serde_json::Value;

/// How many complaints say enough.
const MOST: usize = 3;

/// Longer ones are cut: a stack trace helps nobody here.
const LENGTH: usize = 300;

/// What a component of Kubernetes or etcd complained of last, each complaint once, the last one last. What is said in
/// passing (etcd's `info` and `warn`, the I and W of Kubernetes) is left out, and so are traces.
pub fn complaints(log: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut in_trace = false;
    for text in log.lines().filter_map(|line| line.splitn(4, ' ').nth(3)) {
        let entry = Entry::of(text);
        in_trace = (in_trace || text.starts_with("goroutine ")) && entry == Entry::Plain;
        let Some(complaint) = entry.complaint(text).filter(|_| !in_trace) else { continue };
        let complaint: String = complaint.chars().take(LENGTH).collect();
        found.retain(|other| *other != complaint);
        found.push(complaint);
    }
    found.split_off(found.len().saturating_sub(MOST))
}

/// How a line was written.
#[derive(Debug, PartialEq)]
enum Entry {
    /// etcd: JSON, one object a line.
    Json(Value),
    /// Kubernetes: a letter for how serious it is, and the date (`E1120 17:23:38.062404 …`).
    Klog(char),
    /// With what a program ends, as a rule.
    Plain,
}

impl Entry {
    fn of(text: &str) -> Self {
        if let Ok(Value::Object(entry)) = serde_json::from_str::<Value>(text) {
            return Self::Json(Value::Object(entry));
        }
        let date = text.get(1..5).is_some_and(|date| date.bytes().all(|byte| byte.is_ascii_digit()));
        let letter = text.chars().next().filter(|letter| "IWEF".contains(*letter) && date);
        letter.map_or(Self::Plain, Self::Klog)
    }

    fn complaint(&self, text: &str) -> Option<String> {
        let (serious, complaint) = match self {
            Self::Json(entry) => {
                let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
                let words = [field("msg"), field("error")].into_iter().filter(|text| !text.is_empty());
                let serious = ["error", "dpanic", "panic", "fatal"].contains(&field("level"));
                (serious, words.collect::<Vec<_>>().join(": "))
            }
            Self::Klog(letter) => ("EF".contains(*letter), text.to_owned()),
            Self::Plain => (!text.trim().is_empty(), text.to_owned()),
        };
        serious.then_some(complaint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_complaints_are_found() {
        let log = r#"2026-11-20T17:23:34.31Z stderr F {"level":"info","ts":"2026","msg":"starting with peer TLS"}
2026-11-20T17:23:34.31Z stderr F {"level":"error","ts":"2026","msg":"creating peer listener failed","error":"listen tcp 192.0.2.2:2380: bind: address already in use","stacktrace":"go.etcd.io"}
2026-11-20T17:23:34.31Z stderr F {"level":"warn","ts":"2026","msg":"x"}
2026-11-20T17:23:34.31Z stderr F listen tcp 192.0.2.2:2380: bind: address already in use
"#;
        assert_eq!(
            complaints(log),
            [
                "creating peer listener failed: listen tcp 192.0.2.2:2380: bind: address already in use",
                "listen tcp 192.0.2.2:2380: bind: address already in use"
            ]
        );
        let log = "t stderr F I1120 17:23:38.1 1 x.go:1] fine\nt stderr F W1120 17:23:38.1 1 x.go:1] so so\n\
                   t stderr F E1120 17:23:38.1 1 x.go:1] \"one\"\nt stderr F E1120 17:23:38.1 1 x.go:1] \"two\"\n\
                   t stderr F E1120 17:23:38.1 1 x.go:1] \"one\"\nt stderr F F1120 17:23:38.1 1 x.go:1] three\n\
                   t stderr F goroutine 1 [running]:\nt stderr F \tmain.go\nt stderr F main.main()\nhalf a line";
        assert_eq!(
            complaints(log),
            ["two", "one", "three"].map(|word| {
                let (letter, word) =
                    if word == "three" { ('F', word.to_owned()) } else { ('E', format!("{word:?}")) };
                format!("{letter}1120 17:23:38.1 1 x.go:1] {word}")
            })
        );
        assert_eq!(complaints(""), Vec::<String>::new());
        let endless = format!("t stderr F {}", "x".repeat(1000));
        assert_eq!(complaints(&endless)[0].len(), LENGTH);
    }
}
