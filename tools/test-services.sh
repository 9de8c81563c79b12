#!/bin/bash
# Installs on Debian what tests and benchmarks use beside Node, and says what is there. Needs root only where something
# is missing. Each row: the command that shows that it is there, and the package that brings it.
set -euo pipefail

services=(
  'age age'
  'openssl openssl'
  'postgres postgresql'
)

# Where a command is; Debian keeps PostgreSQL's server in a folder of its version, which is not on PATH.
find_command() {
  command -v "$1" || compgen -G "/usr/lib/postgresql/*/bin/$1" | sort -V | tail -n 1 | grep .
}

missing=()
for service in "${services[@]}"; do
  read -r command package <<<"$service"
  find_command "$command" >/dev/null || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi
for service in "${services[@]}"; do
  read -r command package <<<"$service"
  echo "$package: $(find_command "$command")"
done
