//! Carrying out a plan: compare, apply what differs, record. Nothing is decided here.
