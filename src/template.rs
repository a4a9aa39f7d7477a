//! Embedded templates of files that belong to other programs.
