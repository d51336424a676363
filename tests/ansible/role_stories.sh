# shellcheck shell=bash
# shellcheck disable=SC2153 # ADDRESS and STATUS are of hosts.sh.
#
# What the role promises, seen on three hosts. Sourced by
# tests/slow.d/ansible.

the_role_installs_and_a_bad_policy_changes_nothing() {
    local before name
    write_install
    for name in db1 db2 db3; do inside "$name" rm -rf /usr/local/sbin/pgcordon /etc/pgcordon; done
    control ansible-playbook install.yml --check
    check "a check on a new host foretells" result_like '^0 [1-9]'
    check "and changes nothing" test ! -e /run/hosts/db1/root/usr/local/sbin/pgcordon -a ! -e /run/hosts/db1/root/etc/pgcordon
    control ansible-playbook install.yml
    check "the program and the policies are laid down" result_like '^0 [1-9] [1-9] [1-9]'
    check "the policies are there" equal "$(inside db1 ls /etc/pgcordon/policies | paste -sd' ')" 'patch.yaml reindex.yaml'
    control ansible-playbook install.yml
    check "a second run changes nothing" result '0 0 0 0'
    play cordon -e pgcordon_policy=reindex
    check "a window by the policy" equal "$STATUS $(changes) $(window_fact db2 reason)" '0 1 1 1 the policy of reindexing'
    play cordon -e pgcordon_policy=reindex --check
    check "a check by the policy knows that it is in force" result '0 0 0 0'
    all_open

    before=$(installed db1)
    control ansible-playbook install.yml -e @bad.json
    check "a bad policy is refused with its fault" has "$STATUS $OUTPUT" '^2 ' 'windw' 'did you mean|window'
    check "and nothing has changed, the good one beside it neither" equal "$(installed db1) $(changes)" "$before 0 0 0"
    check "no folder of the check is left" equal "$(inside db1 find /run -maxdepth 1 -name 'pgcordon-*')" ''
    echo 'no program' >"$WORK/broken"
    control ansible-playbook install.yml -e install_pgcordon_file="$WORK/broken"
    check "a program that does not run replaces nothing" equal "$STATUS $(installed db1)" "2 $before"

    make_package
    control ansible-playbook install.yml -e install_pgcordon_source=file -e install_pgcordon_file="$WORK/pgcordon-for-test.deb"
    check "a package file is installed" result_like '^0 [1-9] [1-9] [1-9]'
    check "the package manager has it" inside db3 dpkg-query --show pgcordon-for-test
    control ansible-playbook install.yml -e install_pgcordon_source=file -e install_pgcordon_file="$WORK/pgcordon-for-test.deb"
    check "once" result '0 0 0 0'
    control ansible-playbook install.yml -e '{"install_pgcordon_policies_removed": ["patch", "reindex"], "install_pgcordon_policies": {}}'
    check "policies are removed" equal "$STATUS $(inside db1 ls /etc/pgcordon/policies)" '0 '
    # For the next Ansible.
    local host
    for host in db1 db2 db3; do
        inside "$host" dpkg --purge pgcordon-for-test >/dev/null
    done
}

# What the role has laid down, as sums.
installed() {
    inside "$1" find /usr/local/sbin/pgcordon /etc/pgcordon -type f -exec sha256sum {} + | sort
}

write_install() {
    cat >"$WORK/install.yml" <<-END
	- name: Install pgcordon
	  hosts: databases
	  gather_facts: false
	  roles:
	    - role: pgcordon.maintenance.install
	END
    mkdir -p "$WORK/group_vars"
    cat >"$WORK/group_vars/databases.yml" <<-END
	install_pgcordon_source: binary
	install_pgcordon_file: $PGCORDON
	install_pgcordon_policies:
	  reindex:
	    version: 1
	    window: 2m
	    reason: the policy of reindexing
	    drain:
	      timeout: 5s
	  patch: |
	    # As text, with its comments.
	    version: 1
	    window: 90s
	END
    cat >"$WORK/bad.json" <<-'END'
	{"install_pgcordon_policies": {
	  "reindex": {"version": 1, "window": "3m"},
	  "patch": {"version": 1, "windw": "90s"}}}
	END
}

# A package with a program of another name, so that its removal is not missed.
make_package() {
    local place=$WORK/package
    rm -rf "$place"
    mkdir -p "$place/DEBIAN" "$place/usr/sbin"
    printf '%s\n' 'Package: pgcordon-for-test' 'Version: 0.1.0' 'Architecture: all' \
        'Maintainer: The pgcordon maintainers <nobody@localhost>' 'Description: for a test' >"$place/DEBIAN/control"
    printf '#!/bin/sh\nexec /usr/local/sbin/pgcordon "$@"\n' >"$place/usr/sbin/pgcordon-for-test"
    chmod 755 "$place/usr/sbin/pgcordon-for-test"
    dpkg-deb --build --root-owner-group "$place" "$WORK/pgcordon-for-test.deb" >/dev/null
}
