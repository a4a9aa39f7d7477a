//! Facts of the machine we run on that the kernel tells without a command.

use crate::facts::InterfaceAddress;
use crate::facts::checks::DiskSpace;
use std::collections::BTreeMap;
use std::path::Path;
use sysinfo::Disks;
use sysinfo::MemoryRefreshKind;
use sysinfo::Networks;
use sysinfo::RefreshKind;
use sysinfo::System;

/// Memory in bytes.
pub(super) fn memory() -> Option<u64> {
    let what = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let memory = System::new_with_specifics(what).ok()?.total_memory();
    (memory > 0).then_some(memory)
}

/// Every address and its interface.
pub(super) fn addresses() -> Vec<InterfaceAddress> {
    let Ok(networks) = Networks::new_with_refreshed_list() else { return Vec::new() };
    let mut addresses = Vec::new();
    for (name, network) in &networks {
        let interface = name.to_string_lossy();
        addresses.extend(network.ip_networks().iter().map(|network| InterfaceAddress {
            interface: interface.to_string(),
            address: network.addr,
            prefix: Some(network.prefix),
        }));
    }
    addresses.sort();
    addresses
}

/// Space for each directory, by the deepest mount above its nearest existing parent.
pub(super) fn disks(nearest: &[(String, String)]) -> BTreeMap<String, DiskSpace> {
    let Ok(disks) = Disks::new_with_refreshed_list() else { return BTreeMap::new() };
    let space = |parent: &str| {
        let above = disks.iter().filter(|disk| Path::new(parent).starts_with(disk.mount_point()));
        let disk = above.max_by_key(|disk| disk.mount_point().as_os_str().len())?;
        Some(DiskSpace { free: disk.available_space(), total: disk.total_space() })
    };
    nearest.iter().filter_map(|(directory, parent)| Some((directory.clone(), space(parent)?))).collect()
}
