//! Telling the operator: events in, one of three faces out.
