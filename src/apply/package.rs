//! Packages: installed at the wanted version, and held there.

use crate::apply::failure::StepError;
use crate::apply::receipt::Before;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Command;
use crate::host::Host;
use crate::plan::KeySpec;
use crate::plan::Package;
use crate::plan::PackageManager;
use crate::plan::PackageSpec;
use crate::report::FailureKind;
use crate::report::Outcome;
use std::time::Duration;

/// A slow mirror and many packages.
const LIMIT: Duration = Duration::from_mins(20);

/// Whether the key is there, is the one that is meant, and has not expired.
const KEY_IS_THERE: &str = r#"[ -s "$1" ] || exit 1
command -v gpg >/dev/null 2>&1 || exit 0
gpg --batch --show-keys --with-colons "$1" 2>/dev/null |
  awk -F: -v wanted="$2" '$1 == "pub" { over = over || $2 == "e" } $1 == "fpr" && (wanted == "" || $10 == wanted) { found = 1 } END { exit over || !found }'"#;

/// Fetches a key, and keeps it only when it is the one that is meant.
const FETCH_KEY: &str = r#"set -eu
mkdir -p "${1%/*}"
new=$1.new
if command -v curl >/dev/null 2>&1; then curl -fsSL --retry 2 --connect-timeout 15 -o "$new" -- "$3"; else wget -q -O "$new" -- "$3"; fi
if [ -n "$2" ]; then
  command -v gpg >/dev/null 2>&1 || { rm -f "$new"; echo "gpg is not on this host, so nobody can tell whose key $3 is" >&2; exit 1; }
  gpg --batch --show-keys --with-colons "$new" 2>/dev/null | grep -q "^fpr:.*:$2:" || { rm -f "$new"; echo "the key at $3 is not $2" >&2; exit 1; }
fi
chmod 0644 "$new"
mv -f "$new" "$1""#;

/// Puts a repository's key in place.
pub(crate) fn key(run: &Run<'_>, spec: &KeySpec, site: &mut Site) -> Result<Done, StepError> {
    let fingerprint = spec.fingerprint.as_deref().unwrap_or_default();
    let there = Command::query("sh").args(["-c", KEY_IS_THERE, "sh", &spec.path, fingerprint]);
    if site.host.run(&there)?.success() {
        return Ok(Done::new(Outcome::Ok));
    }
    if !run.world.options.dry_run {
        remember(spec, site)?;
    }
    let fetch = Command::change("sh").args(["-c", FETCH_KEY, "sh", &spec.path, fingerprint, &spec.url]);
    let output = site.host.run(&fetch)?;
    if !output.success() {
        let cause = anyhow::anyhow!("cannot get the key of the package repository from {}", spec.url);
        return Err(StepError::new(FailureKind::Command, cause).detail("output", output.error_tail()));
    }
    site.changed.push(spec.path.clone());
    Ok(Done::new(run.changed()))
}

fn remember(spec: &KeySpec, site: &mut Site) -> Result<(), StepError> {
    let Site { host, ledger: Some(ledger), .. } = site else { return Ok(()) };
    ledger.before(host.as_ref(), &spec.path, || Ok(Before::of(host.read(&spec.path)?.as_ref())))
}

/// Installs what is missing or has another version.
pub(crate) fn install(run: &Run<'_>, spec: &PackageSpec, host: &dyn Host) -> Result<Done, StepError> {
    let mut wanted = Vec::new();
    for package in &spec.packages {
        if !installed(spec.manager, package, host)? {
            wanted.push(package);
        }
    }
    if wanted.is_empty() {
        return Ok(Done::new(Outcome::Ok));
    }
    let names = wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for command in commands(spec.manager, &wanted) {
        let output = host.run(&command)?;
        if !output.success() {
            let hint =
                "look whether the package repositories of the host can be reached and have this version";
            return Err(StepError::command(&command, &output).hint(hint));
        }
    }
    Ok(Done::new(run.changed()).detail(names))
}

/// At the wanted version, or under another name that does as well.
fn installed(manager: PackageManager, package: &Package, host: &dyn Host) -> Result<bool, StepError> {
    for name in std::iter::once(&package.name).chain(&package.instead) {
        let output = host.run(&version_of(manager, name))?;
        let there = output.text();
        let there = there.lines().next().unwrap_or_default().trim();
        if output.success() && !there.is_empty() && fits(package, there) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn version_of(manager: PackageManager, name: &str) -> Command {
    match manager {
        // A removed package whose configuration stayed has a version too.
        PackageManager::Apt => {
            let script = r#"dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p'"#;
            Command::query("sh").args(["-c", script, "sh", name])
        }
        PackageManager::Dnf | PackageManager::Zypper => {
            Command::query("rpm").args(["-q", "--qf", "%{VERSION}-%{RELEASE}\\n", name])
        }
    }
}

/// The packagers' suffix plays no part: `1.36.4-1.1` is 1.36.4.
fn fits(package: &Package, there: &str) -> bool {
    let Some(wanted) = &package.version else { return true };
    let there = there.split_once(':').map_or(there, |(_, version)| version);
    there == wanted
        || there.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with(['-', '~', '+']))
}

/// What installs and holds these packages.
pub(crate) fn commands(manager: PackageManager, wanted: &[&Package]) -> Vec<Command> {
    let held: Vec<&str> = wanted.iter().filter(|one| one.held).map(|one| one.name.as_str()).collect();
    let mut commands = match manager {
        PackageManager::Apt => apt(wanted, &held),
        PackageManager::Dnf => {
            let words = wanted.iter().map(|one| versioned(one, "-", ""));
            let install = Command::change("dnf").args([
                "-y",
                "--setopt=install_weak_deps=False",
                "--disableexcludes=kubernetes",
                "install",
            ]);
            vec![install.args(words)]
        }
        PackageManager::Zypper => {
            let words = wanted.iter().map(|one| versioned(one, "=", ""));
            let install = Command::change("zypper").args(["--non-interactive", "install", "--no-recommends"]);
            let install = install.args(words);
            let mut commands = Vec::new();
            if !held.is_empty() {
                commands.push(
                    Command::change("zypper").args(["--non-interactive", "removelock"]).args(held.clone()),
                );
            }
            commands.push(install);
            if !held.is_empty() {
                commands.push(
                    Command::change("zypper").args(["--non-interactive", "addlock"]).args(held.clone()),
                );
            }
            commands
        }
    };
    for command in &mut commands {
        command.timeout = LIMIT;
    }
    commands
}

/// apt waits for the lock that unattended upgrades may hold, asks nobody, and keeps changed configuration files.
fn apt(wanted: &[&Package], held: &[&str]) -> Vec<Command> {
    let apt = || {
        Command::change("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Options::=--force-confold"])
            .args(["-o", "Dpkg::Options::=--force-confdef"])
    };
    let words = wanted.iter().map(|one| versioned(one, "=", "-*"));
    let install =
        apt().args(["install", "--no-install-recommends", "--allow-change-held-packages"]).args(words);
    let mut commands = vec![apt().arg("update"), install];
    if !held.is_empty() {
        commands.push(Command::change("apt-mark").arg("hold").args(held.iter().copied()));
    }
    commands
}

fn versioned(package: &Package, between: &str, any_release: &str) -> String {
    match &package.version {
        Some(version) => format!("{}{between}{version}{any_release}", package.name),
        None => package.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packagers_suffix_plays_no_part() {
        let kubelet = Package::any("kubelet").at("1.36.4");
        for (there, fit) in [
            ("1.36.4-1.1", true),
            ("1.36.4", true),
            ("0:1.36.4-150500.1.1", true),
            ("1.36.40-1.1", false),
            ("1.36.3-1.1", false),
        ] {
            assert_eq!(fits(&kubelet, there), fit, "{there}");
        }
        assert!(fits(&Package::any("socat"), "1.7"));
    }

    #[test]
    fn each_manager_is_asked_in_its_own_words() {
        let packages = [Package::any("kubelet").at("1.36.4"), Package::any("socat")];
        let all: Vec<&Package> = packages.iter().collect();
        for (manager, lines) in [
            (
                PackageManager::Apt,
                &[
                    "update",
                    "install --no-install-recommends --allow-change-held-packages 'kubelet=1.36.4-*' socat",
                    "apt-mark hold kubelet",
                ][..],
            ),
            (PackageManager::Dnf, &["--disableexcludes=kubernetes install kubelet-1.36.4 socat"][..]),
            (PackageManager::Zypper, &["removelock kubelet", "kubelet=1.36.4 socat", "addlock kubelet"][..]),
        ] {
            let said: Vec<String> = commands(manager, &all).iter().map(ToString::to_string).collect();
            assert_eq!(said.len(), lines.len(), "{said:?}");
            for (said, line) in said.iter().zip(lines) {
                assert!(said.ends_with(line), "{said} does not end with {line}");
            }
        }
    }
}
