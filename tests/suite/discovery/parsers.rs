//! No bytes make a parser panic.
