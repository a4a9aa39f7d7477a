//! Swap as `/etc/fstab` and systemd name it.

use crate::facts::checks::Swap;
use std::fmt::Write as _;

impl Swap {
    /// The swap devices of `/etc/fstab`, as they are written there.
    pub fn fstab_devices(&self) -> impl Iterator<Item = &str> {
        self.fstab.lines().filter(|line| is_swap(line)).filter_map(|line| line.split_whitespace().next())
    }
}

/// A line of an fstab that turns swap on.
pub fn is_swap(line: &str) -> bool {
    !line.trim_start().starts_with('#') && line.split_whitespace().nth(2) == Some("swap")
}

/// The systemd unit of a swap device of an fstab: `dev-sda2.swap` for `/dev/sda2` (systemd.unit(5), "string escaping
/// for inclusion in unit names").
pub fn swap_unit(device: &str) -> String {
    let tags =
        [("UUID=", "uuid"), ("PARTUUID=", "partuuid"), ("LABEL=", "label"), ("PARTLABEL=", "partlabel")];
    let tagged = tags.iter().find_map(|(tag, by)| {
        let value = device.strip_prefix(tag)?.trim_matches('"');
        Some(format!("/dev/disk/by-{by}/{value}"))
    });
    let path = tagged.unwrap_or_else(|| device.to_owned());
    let mut unit = String::new();
    for (at, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => unit.push('-'),
            b'.' if at == 0 => unit.push_str(r"\x2e"),
            b':' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => unit.push(char::from(byte)),
            _ => write!(unit, r"\x{byte:02x}").expect("writing to a string does not fail"),
        }
    }
    unit + ".swap"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_units_as_systemd_escape_does() {
        for (device, unit) in [
            ("/dev/sda2", "dev-sda2.swap"),
            ("/swap.img", "swap.img.swap"),
            ("/.swap file", r"\x2eswap\x20file.swap"),
            ("/dev/mapper/vg-swap", r"dev-mapper-vg\x2dswap.swap"),
            ("UUID=3d1219c7-c4c5", r"dev-disk-by\x2duuid-3d1219c7\x2dc4c5.swap"),
            ("LABEL=swap", r"dev-disk-by\x2dlabel-swap.swap"),
        ] {
            assert_eq!(swap_unit(device), unit);
        }
    }

    #[test]
    fn finds_swap_in_an_fstab() {
        let fstab = "# /dev/sda1 none swap sw 0 0\n/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 none swap sw 0 0\n\
                     UUID=x  swap\tswap defaults 0 0\n/swap / ext4 x 0 0\n";
        let swap = Swap { fstab: fstab.to_owned(), ..Swap::default() };
        assert_eq!(swap.fstab_devices().collect::<Vec<_>>(), ["/dev/sda2", "UUID=x"]);
    }
}
