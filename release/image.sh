#!/bin/sh
# What the image holds: an environment in TARGET with the wheel of this tree and the locked packages that it runs with, no
# other. `release/image.sh /opt/aioctl` is the Dockerfile's only step; tests/ship performs it too. PYTHON is the interpreter, EXTRAS
# are extras of the package, such as otel.
set -eu
target=$1
python=${PYTHON:-python3}
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" "$here/release/lock.py" build > "$work/build.lock"
# shellcheck disable=SC2086  a list of words
"$python" "$here/release/lock.py" run ${EXTRAS:-} > "$work/run.lock"

"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r "$work/build.lock"
(cd "$here" && "$work/tools/bin/python" -m hatchling build -t wheel -d "$work/dist")

"$python" -m venv "$target"
"$target/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r "$work/run.lock"
"$target/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --no-deps "$work"/dist/*.whl
# Nothing installs anything in a running container.
"$target/bin/python" -m pip list --format=freeze --disable-pip-version-check > "$work/packages"
for tool in setuptools pip; do
  if grep -q "^$tool==" "$work/packages"; then
    "$target/bin/python" -m pip uninstall --yes --quiet --disable-pip-version-check "$tool"
  fi
done
