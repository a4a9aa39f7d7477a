//! What can be typed, and what happens then.
