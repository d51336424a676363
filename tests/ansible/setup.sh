# shellcheck shell=bash
#
# The versions of Ansible, and what its own tools say of the collection. Sourced by
# tests/slow.d/ansible after packaging/setup.sh.

SHELF=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}/ansible")
COLLECTIONS=$SHELF/collections
COLLECTION=$COLLECTIONS/ansible_collections/pgcordon/maintenance

# The newest Python that works here; pyenv's are looked at, too.
newest_python() {
    local python
    for python in python3.{14,13,12} \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.{14,13,12}.*/bin/python3; do
        if "$python" -c 'import ensurepip' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    echo /usr/bin/python3
}

# Debian's ansible-core is the oldest. The newest and what checks the collection come from PyPI
# into the target directory, where they stay.
need_ansible() {
    local python wanted=(ansible-core ansible-lint pytest) marker
    python=$(newest_python)
    marker="$("$python" --version) ${wanted[*]}"
    if [[ ! -e $SHELF/fetched || $(<"$SHELF/fetched") != "$marker" ]]; then
        rm -rf "$SHELF"
        mkdir -p "$SHELF/home/.ansible/test/cache"
        echo "Fetching ${wanted[*]} for $("$python" --version)"
        "$python" -m venv "$SHELF/newest" || fail "$python -m venv failed"
        "$SHELF/newest/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}" ||
            fail "pip could not fetch ${wanted[*]}"
        # The unit tests on Debian's ansible-core.
        /usr/bin/python3 -m venv --system-site-packages "$SHELF/oldest" || fail "no virtual environment"
        "$SHELF/oldest/bin/pip" install --quiet --disable-pip-version-check pytest ||
            fail "pip could not fetch pytest"
        fetch_pip_for "$SHELF/newest/bin/python"
        fetch_pip_for /usr/bin/python3
        echo "$marker" >"$SHELF/fetched"
    fi
}

# ansible-test installs pip with a script that it downloads from a place of its own. Where the
# script is there already it is not fetched; this one runs pip from its wheel in the registry.
fetch_pip_for() {
    local version
    version=$("$1" -c '
import pathlib, re, ansible_test
source = pathlib.Path(ansible_test.__file__).parent / "_internal/python_requirements.py"
print(re.search(r"pip=.([\d.]+)", source.read_text()).group(1))')
    "$SHELF/newest/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        --dest "$SHELF/pip" "pip==$version" || fail "pip could not fetch pip $version"
    cat >"$SHELF/home/.ansible/test/cache/get_pip_${version//./_}.py" <<-END
	import runpy
	import sys

	sys.path.insert(0, '$SHELF/pip/pip-$version-py3-none-any.whl')
	packages = [word for word in sys.argv[1:] if word not in ('--no-setuptools', '--no-wheel')]
	sys.argv = ['pip', 'install'] + packages
	runpy.run_module('pip', run_name='__main__', alter_sys=True)
	END
}

# use oldest|newest: which Ansible the next calls run; its version is in VERSION.
use() {
    case $1 in
    oldest) ANSIBLE_BIN=/usr/bin PYTEST=$SHELF/oldest/bin/pytest ;;
    newest) ANSIBLE_BIN=$SHELF/newest/bin PYTEST=$SHELF/newest/bin/pytest ;;
    esac
    VERSION=$(ansible_program ansible --version | sed -n 's/^ansible \[core \(.*\)\]$/ansible-core \1/p')
    [[ $VERSION ]] || fail "no Ansible in $ANSIBLE_BIN"
}

# Runs a program of the Ansible in use, with nothing of the user's.
ansible_program() {
    local program=$1
    shift
    # What pip needs stays, and the machine's other Pythons go: they would be tested, too.
    env LC_ALL=C.UTF-8 TZ=UTC HOME="$SHELF/home" \
        PATH="$ANSIBLE_BIN:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        ANSIBLE_COLLECTIONS_PATH="$COLLECTIONS" \
        ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_DEVEL_WARNING=false \
        timeout 900 "$program" "$@"
}

# As Galaxy would have it: built, and installed from the archive.
build_collection() {
    local archives=$SHELF/archives
    use oldest
    rm -rf "$archives" "$COLLECTIONS"
    ansible_program ansible-galaxy collection build --output-path "$archives" packaging/ansible >/dev/null
    ansible_program ansible-galaxy collection install --collections-path "$COLLECTIONS" \
        --offline "$archives"/*.tar.gz >/dev/null 2>&1 ||
        ansible_program ansible-galaxy collection install --collections-path "$COLLECTIONS" \
            "$archives"/*.tar.gz >/dev/null
    [[ -e $COLLECTION/MANIFEST.json ]] || fail "the collection was not installed"
}

# Each option and each return value is shown, and each option of the role.
documentation_is_complete() {
    local text option
    text=$(ansible_program ansible-doc --type module pgcordon.maintenance.window \
        pgcordon.maintenance.window_info)
    has "$text" RETURN EXAMPLES
    for option in allow_incomplete drain_timeout cancel_first pg_socket_dir extend stragglers; do
        has "$text" "$option" || return 1
    done
    text=$(ansible_program ansible-doc --type role pgcordon.maintenance.install)
    has "$text" install_pgcordon_policies
}

unit_tests() {
    (cd "$COLLECTION" && PYTHONPATH=$COLLECTIONS PYTHONDONTWRITEBYTECODE=1 \
        "$PYTEST" -q -p no:cacheprovider tests/unit)
}

# In a place of its own: within a repository that ignores the target directory, ansible-test
# would find no file to look at, and be content.
sanity() {
    local place status=0
    place=$(mktemp --directory --tmpdir pgcordon-sanity-XXXXXX)
    cp -R "$COLLECTIONS/ansible_collections" "$place"
    (cd "$place/ansible_collections/pgcordon/maintenance" &&
        ansible_program ansible-test sanity --local --color no) >"$place/output" 2>&1 || status=$?
    cat "$place/output"
    grep -q 'Running sanity test "validate-modules"' "$place/output" || status=1
    rm -rf "$place"
    return "$status"
}

# Of the source, where galaxy.yml is; in a copy, since the program leaves a folder behind.
lint() {
    rm -rf "$SHELF/source"
    cp -R packaging/ansible "$SHELF/source"
    (cd "$SHELF/source" && ansible_program ansible-lint --offline --nocolor --profile production)
}
