pub const KERNEL_OPTIONS: &[&str] = &["NAMESPACES"];
