//! How long the disk under etcd takes to keep its word.

use crate::facts::parse::system::slowest_write;
use crate::host::Command;
use crate::host::Host;
use crate::host::HostError;
use std::time::Duration;

/// Writes as etcd does (some 2 KiB, then to the disk) up to a hundred times or half a second long, each write timed
/// by `dd` itself.
const SYNC_SCRIPT: &str = r#"
while [ ! -d "$directory" ]; do directory=${directory%/*}; directory=${directory:-/}; done
file=$directory/.kubewright-sync.$$
trap 'rm -f "$file"' EXIT
LC_ALL=C
export file LC_ALL
timeout 0.5 sh -c 'i=0
while [ $i -lt 100 ]; do
  dd if=/dev/zero of="$file" bs=2300 count=1 conv=notrunc oflag=dsync
  i=$((i + 1))
done' 2>&1
true
"#;

/// The 99th percentile of synchronous writes where `directory` is or would be, in microseconds; `None` when `dd`
/// cannot tell. It writes a file there and removes it.
///
/// # Errors
/// The host cannot be reached.
pub fn latency(host: &dyn Host, directory: &str) -> Result<Option<u64>, HostError> {
    let mut command = Command::change("sh").arg("-s").timeout(Duration::from_secs(30));
    command = command.stdin(format!("directory='{}'\n{SYNC_SCRIPT}", directory.replace('\'', r"'\''")));
    let output = host.run(&command)?;
    Ok(slowest_write(&output.text()))
}
