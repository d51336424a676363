# shellcheck shell=bash
#
# What the packages have in common: the binary and all that is generated from it, in
# target/release/package. Sourced by deb and rpm, after setup.sh.

# Installs a cargo tool into the target directory, where it stays: need_cargo_tool NAME VERSION
# FLAG…; it is found in TOOLS. Without optimisation, it is there in a third of the time.
need_cargo_tool() {
    local name=$1 version=$2
    shift 2
    TOOLS=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}/tools")
    [[ $("$TOOLS/bin/$name" --version 2>/dev/null) != *"$version" ]] || return 0
    echo "Installing $name $version"
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root "$TOOLS" \
        --target-dir "$TOOLS/build" "$@" "$name@$version" || fail "cargo could not install $name"
    rm -rf "$TOOLS/build"
}

# Packages bear the time of the commit, so that the same source gives the same bytes.
source_date() {
    git log -1 --format=%ct 2>/dev/null || stat --format=%Y Cargo.toml
}

# Builds the binary, and writes the manual and the completions that it knows.
stage() {
    local stage
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(source_date)}
    export SOURCE_DATE_EPOCH
    build_release
    stage=${PGCORDON%/*}/package
    rm -rf "$stage"
    mkdir -p "$stage/man" "$stage/doc" "$stage/completions"
    "$PGCORDON" man "$stage/man" --quiet
    gzip --best --no-name "$stage"/man/*
    gzip --best --no-name --stdout CHANGELOG.md >"$stage/doc/changelog.gz"
    "$PGCORDON" completions bash >"$stage/completions/pgcordon"
    "$PGCORDON" completions zsh >"$stage/completions/_pgcordon"
    "$PGCORDON" completions fish >"$stage/completions/pgcordon.fish"
}
