# shellcheck shell=bash
#
# What is in the packages and the source archive. Sourced by tests/slow.d/packages.

source_archive() {
    local first second
    first=$(packaging/source 2>/dev/null)
    cp "$first" "$WORK/first.tar.gz"
    # Another umask, time zone and user's configuration of git.
    second=$(umask 077 && TZ=Asia/Tokyo GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=tar.umask \
        GIT_CONFIG_VALUE_0=0077 packaging/source 2>/dev/null)
    check "two runs give the same bytes" cmp "$WORK/first.tar.gz" "$second"
    check "it holds what is committed, below one directory" source_is_whole "$second"
    check "nobody's name and no other time is in it" source_is_nobodys "$second"
}

source_is_whole() {
    diff <(git ls-tree -r --name-only HEAD | sort) \
        <(tar -tzf "$1" | grep -v '/$' | cut -d/ -f2- | sort)
}

source_is_nobodys() {
    local date
    date=$(date -d "@$(git log -1 --format=%ct)" '+%Y-%m-%d %H:%M')
    ! tar -tvzf "$1" | grep -v "root/root .* $date " | grep .
}

# Every file of a package, as far as both have it: libraries of systems differ in where they look.
common_names() {
    sed -e 's,^\./,/,' -e 's,/vendor-completions/,/site-functions/,' | grep -v -E \
        '/$|/copyright$|/changelog.Debian.gz$|/lintian/|/needrestart/|/licenses/' | sort
}

deb_files() {
    dpkg-deb -c "$DEB" | awk '{ print $6 }' >"$WORK/deb.list"
    rpm -qpl "$RPM" >"$WORK/rpm.list" 2>/dev/null
    check "lintian finds no error and no warning" \
        lintian --allow-root --fail-on error,warning "$DEB"
    check "the .deb and the .rpm hold the same files" \
        diff <(common_names <"$WORK/deb.list") <(common_names <"$WORK/rpm.list")
    dpkg-deb -x "$DEB" "$WORK/files"
    check "every command has a page, and man reads each without a warning" every_page
    check "bash, zsh and fish can read their completions" every_completion
    check "its version is the one in Cargo.toml and in its changelog" versions_agree
    check "it declares the libc it needs, and the README says so" libc_is_declared
    check "it depends on libnftnl11 and libmnl0" libraries_are_declared
    check "the README and the manual name the same oldest Linux" kernel_is_declared
}

every_page() {
    local page command
    for command in $("$WORK/files/usr/sbin/pgcordon" --help |
        sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/\1/p' | grep -v '^help$'); do
        [[ -e $WORK/files/usr/share/man/man8/pgcordon-$command.8.gz ]] ||
            { echo "no page for $command" && return 1; }
    done
    for page in "$WORK"/files/usr/share/man/man8/*.gz; do
        [[ -z $(MANROFFSEQ='' MANWIDTH=200 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" \
            2>&1 >/dev/null) ]] || { echo "$page" && return 1; }
    done
}

every_completion() {
    local share=$WORK/files/usr/share
    bash -n "$share/bash-completion/completions/pgcordon" &&
        zsh -n "$share/zsh/vendor-completions/_pgcordon" &&
        fish --no-execute "$share/fish/vendor_completions.d/pgcordon.fish"
}

versions_agree() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
    equal "$(dpkg-deb -f "$DEB" Version)" "$version-1" &&
        equal "$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)" "$version-1" &&
        equal "$(rpm -qp --queryformat '%{VERSION}-%{RELEASE}' "$RPM" 2>/dev/null)" "$version-1"
}

# The newest version of a symbol of libc that the binary refers to.
newest_libc() {
    objdump -T "$WORK/files/usr/sbin/pgcordon" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' |
        sort --version-sort | tail -n 1
}

libc_is_declared() {
    local newest
    newest=$(newest_libc)
    [[ -n $newest ]] && dpkg-deb -f "$DEB" Depends | grep "libc6 (>= $newest)" &&
        rpm -qp --requires "$RPM" 2>/dev/null | grep "libc.so.6(GLIBC_$newest)" &&
        grep "glibc $newest" README.md
}

libraries_are_declared() {
    local name
    for name in 'libnftnl11 (>= ' 'libmnl0 (>= '; do
        dpkg-deb -f "$DEB" Depends | grep -F "$name" || return
    done
}

kernel_is_declared() {
    local oldest
    oldest=$(zcat "$WORK/files/usr/share/man/man8/pgcordon.8.gz" |
        sed -n 's/^Linux \([0-9.]*\) or later.*/\1/p')
    [[ -n $oldest ]] && grep "Linux $oldest" README.md
}

rpm_files() {
    check "rpmlint finds no error" \
        rpmlint --config packaging/redhat/rpmlint.toml "$RPM"
    check "it names the libraries by what they provide" rpm_requires
}

rpm_requires() {
    local name required
    required=$(rpm -qp --requires "$RPM" 2>/dev/null)
    for name in libnftnl.so.11 libmnl.so.0 libc.so.6; do
        grep -F "$name" <<<"$required" || return
    done
}

# Copies a .deb into a directory, and names it as it is called there.
into() {
    cp "$2" "$1/root/candidate.deb"
    echo /root/candidate.deb
}

# Installs, runs and erases the .rpm where only its libraries are; rpm's own database is there too.
rpm_root() {
    local root=$1
    install_in "$root" libnftnl11 libmnl0 >"$WORK/rpm.log" 2>&1 ||
        fail "no libraries for the .rpm: $(<"$WORK/rpm.log")"
    # These belong to the smallest system where rpm is at home.
    mkdir -p "$root"/usr/share/{fish/vendor_completions.d,licenses,zsh/site-functions}
    find "$root" -xdev -not -path '*/var/lib/rpm*' | sort >"$WORK/before.list"
    local rpm=(rpm --root "$root" --dbpath /var/lib/rpm)
    "${rpm[@]}" --initdb
    # Debian's libraries are in dpkg's database, not in rpm's: names are not looked up there.
    check "it installs" "${rpm[@]}" --install --nodeps "$RPM"
    check "all its files are as they were packed" "${rpm[@]}" --verify --nodeps pgcordon
    check "it runs there" chroot "$root" pgcordon --version
    check "it is erased" "${rpm[@]}" --erase pgcordon
    check "then nothing of it is left" \
        diff "$WORK/before.list" <(find "$root" -xdev -not -path '*/var/lib/rpm*' | sort)
}
