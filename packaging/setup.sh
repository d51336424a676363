# shellcheck shell=bash
#
# What the demo, the tests and the benchmark need on a fresh Debian 12 machine with Rust.
# Sourced, never run. Packages are installed where they are missing; no service is started
# and no PostgreSQL cluster is made on the machine.

# The PostgreSQL that throw-away servers run.
export POSTGRES_BIN=${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}

# Says why it cannot go on, and ends.
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Network namespaces and nftables are root's.
need_root() {
    ((EUID == 0)) || fail "run it as root: it makes network namespaces"
}

# Packages by name, for what every script needs; more may be given.
need_packages() {
    local wanted=(
        gcc libc6-dev pkg-config libnftnl-dev libmnl-dev # to build
        nftables iproute2 util-linux procps python3      # to play with
        postgresql-15 "$@"
    )
    local package missing=()
    for package in "${wanted[@]}"; do
        [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]} == 0)) || install_packages "${missing[@]}" || exit 1
    [[ -x $POSTGRES_BIN/postgres ]] || fail "no PostgreSQL in $POSTGRES_BIN"
}

# Installs in a subshell, so that what is changed for that time is put back in any case.
install_packages() (
    echo "Installing $*"
    local dropin=/etc/postgresql-common/createcluster.d/00-no-main-cluster.conf
    local policy=/usr/sbin/policy-rc.d
    local log
    log=$(mktemp)
    [[ -e $policy ]] && policy=''
    trap 'rm -f "$dropin" "$log" ${policy:+"$policy"}' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    # The package would make a cluster and start it on port 5432.
    mkdir -p "${dropin%/*}"
    echo 'create_main_cluster = false' >"$dropin"
    # No service is started by its package, unless the machine has a policy of its own.
    if [[ -n $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi

    export DEBIAN_FRONTEND=noninteractive
    local options=(-qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    {
        apt-get "${options[@]}" update &&
            apt-get "${options[@]}" install -y --no-install-recommends "$@"
    } >"$log" 2>&1 </dev/null || {
        cat "$log" >&2
        fail "apt-get could not install $*"
    }
)

# Cargo, also where the shell was not told of rustup's folder.
need_rust() {
    if ! command -v cargo >/dev/null; then
        export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.85 or later, see https://rustup.rs"
}

# Parts of the Rust toolchain that a minimal one lacks: rustfmt, clippy.
need_rust_components() {
    local component
    for component in "$@"; do
        cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 ||
            rustup component add "$component" ||
            fail "the Rust toolchain has no $component"
    done
}

# Builds the release binary and puts its path into PGCORDON.
build_release() {
    cargo build --release --locked
    PGCORDON=$(realpath "${CARGO_TARGET_DIR:-target}/release/pgcordon")
    export PGCORDON
}
