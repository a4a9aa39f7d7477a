//! Where in a document something is: `ClusterConfiguration.apiServer.extraArgs[2].name`.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Key(String),
    Index(usize),
}

/// The kind of the document and the way from its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub kind: String,
    pub segments: Vec<Segment>,
}

impl Path {
    pub fn root(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), segments: Vec::new() }
    }

    /// A field of a document, its name written with dots.
    pub fn of(kind: &str, field: &str) -> Self {
        field.split('.').filter(|name| !name.is_empty()).fold(Self::root(kind), |path, name| path.key(name))
    }

    #[must_use]
    pub fn key(&self, name: impl Into<String>) -> Self {
        self.with(Segment::Key(name.into()))
    }

    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.segments.push(segment);
        path
    }

    /// The names of the keys alone, joined by dots: what the operator would write in a sentence.
    pub fn field(&self) -> String {
        let full = self.to_string();
        full.strip_prefix(&self.kind).unwrap_or(&full).trim_start_matches('.').to_owned()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        for (position, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.is_empty() || key.contains(['.', '[', ' ', '"']) => {
                    write!(f, "[{key:?}]")?;
                }
                Segment::Key(key) if position == 0 && self.kind.is_empty() => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_an_expression() {
        let path = Path::of("Cluster", "spec.hosts").index(1).key("labels").key("example.com/disk");
        assert_eq!(path.to_string(), "Cluster.spec.hosts[1].labels[\"example.com/disk\"]");
        assert_eq!(path.field(), "spec.hosts[1].labels[\"example.com/disk\"]");
        assert_eq!(Path::of("", "kind").to_string(), "kind");
    }
}
