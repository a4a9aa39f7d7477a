//! JSON lines, for programs; the schema is described with [`Event`].

use crate::report::Event;
use crate::report::Face;
use crate::report::event::SCHEMA;
use serde::Serialize;
use std::fmt;
use std::io::Write;

pub struct Json {
    out: Box<dyn Write + Send>,
}

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    event: &'a Event,
}

impl Json {
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out }
    }
}

impl Face for Json {
    fn tell(&mut self, event: &Event) {
        let line = serde_json::to_string(&Line { schema: SCHEMA, event });
        let line = line.expect("an event holds only text and numbers");
        // A reader that went away is no reason to stop in the middle of a host's work.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}
