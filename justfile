# The front door. `just` alone lists the recipes; CI calls the same ones.

default:
    @just --list

# Everything that must hold before a commit.
check: fmt-check lint
    cargo test

# Format the tree.
fmt:
    cargo fmt

fmt-check:
    cargo fmt --check

# Lints, with warnings as errors.
lint:
    cargo clippy --all-targets -- -D warnings

# Install what the tests need on Debian, then run every tier that can run.
test:
    tests/run

# Accept what scenarios, error cases, help texts and the README's commands print now; review the diff.
bless:
    BLESS=1 cargo test --test suite

# Measure the limits that the project keeps to.
bench:
    benches/limits
    benches/thousand-hosts
    benches/push-to-many

# The same for those against kubeadm, in the lab.
bench-lab:
    benches/init-in-lab
    benches/join-in-lab
    benches/apply-in-lab

# Licences, sources and bans of dependencies.
deny:
    cargo deny check

# Build what a release publishes, into dist/.
release:
    release/build

ci:
    .ci/run
