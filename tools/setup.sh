#!/usr/bin/env bash
# Makes .venv ready: the versions pinned in requirements.txt, and this checkout, editable.
# Prints nothing and returns at once when it is ready. Python is looked for, or named:
#   PYTHON=/path/to/python3.13 tools/setup.sh
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

ready=.venv/ready            # what .venv was made from; written last
unfinished=.venv/unfinished  # there while .venv is being made
wanted=$(pwd -P; cat requirements.txt pyproject.toml tools/setup.sh)

say() { printf 'set-up: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

is_ready() { [[ -x .venv/bin/python && ! -e $unfinished && "$(cat $ready 2>/dev/null)" == "$wanted" ]]; }

# Prints the version of interpreter $1. Status 0: it will do; 3: wrong version; 4: has no venv.
inspect() {
    "$1" -c '
import sys, sysconfig
print("%d.%d.%d" % sys.version_info[:3])
if not (3, 12) <= sys.version_info[:2] < (3, 15) or sys.implementation.name != "cpython":
    sys.exit(3)
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(3)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(4)
' 2>/dev/null
}

# Interpreters to try, best first. One on PATH may be a shim that refuses to run.
candidates() {
    local version
    [[ -z ${PYTHON:-} ]] || type -P "$PYTHON" || say "PYTHON=$PYTHON is not a program; looking on"
    for version in 3.13 3.12 3.14; do
        type -aP "python$version" || true
        printf '%s\n' "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version".*/bin/python
        ! type -P uv >/dev/null || uv python find --system "$version" 2>/dev/null || true
    done
    type -aP python3 python || true
}

# Prints the first interpreter that will do; otherwise says what there was and what to do.
find_python() {
    local candidate version status seen=""
    while IFS= read -r candidate; do
        [[ -x $candidate && $candidate != "$PWD"/.venv/* ]] || continue
        status=0
        version=$(inspect "$candidate") || status=$?
        case $status in
            0) printf '%s\n' "$candidate"; return ;;
            3) seen+="  $candidate is Python $version"$'\n' ;;
            4) seen+="  $candidate is Python $version, but cannot make environments"
               seen+=" (on Debian and Ubuntu: apt-get install python${version%.*}-venv)"$'\n' ;;
        esac
    done < <(candidates | awk '!seen[$0]++')
    {
        echo "set-up: bayescale needs CPython 3.12, 3.13 or 3.14, and none was found that will do."
        [[ -z $seen ]] || printf 'Found:\n%s' "$seen"
        echo "Remedy, any one of:"
        ! type -P pyenv >/dev/null || echo "  pyenv install 3.13"
        ! type -P uv >/dev/null || echo "  uv python install 3.13"
        ! type -P conda >/dev/null || echo "  conda create -n python313 python=3.13 && conda activate python313"
        ! type -P brew >/dev/null || echo "  brew install python@3.13"
        for version in 3.13 3.12; do
            ! apt-cache show "python$version-venv" >/dev/null 2>&1 \
                || echo "  apt-get install python$version python$version-venv"
        done
        echo "  install Python 3.13 in any other way, and name it: make PYTHON=/path/to/python3.13"
    } >&2
    return 1
}

# Whether .venv, perhaps made by hand, can be brought up to date rather than made anew.
is_usable() {
    [[ -x .venv/bin/python && ! -e $unfinished ]] || return 1
    [[ ! -e $ready || "$(head -n 1 $ready)" == "$(pwd -P)" ]] || return 1  # moved: paths are wrong
    inspect .venv/bin/python >/dev/null || return 1
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null 2>&1
}

pip_install() { .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input "$@"; }

! is_ready || exit 0
if type -P flock >/dev/null; then  # one set-up at a time
    exec 9<requirements.txt
    flock 9
    ! is_ready || exit 0
fi

if is_usable; then
    say "bringing .venv up to date"
else
    python=$(find_python)
    say "making .venv with $python ($(inspect "$python")); this takes a minute or more"
    rm -rf .venv
    mkdir .venv
    touch $unfinished
    "$python" -m venv .venv || fail "$python could not make .venv: see above"
fi
touch $unfinished
rm -f $ready

say "installing the pinned packages"
pip_install -r requirements.txt || fail "pip could not install requirements.txt: see above"
# Not editable_mode=strict: with it 'import bayescale.models' fails in the checkout's own folder,
# and new files are not seen until the next install.
pip_install --no-deps --no-build-isolation --editable . || fail "pip could not install bayescale: see above"
mkdir -p .venv/types/bayescale  # for type checkers, which cannot follow an editable install
ln -sfn ../../../models .venv/types/bayescale/models

printf '%s\n' "$wanted" >$ready
rm $unfinished
say "ready: .venv/bin/bayescale"
