#!/bin/bash
# Installs on Debian what tests and benchmarks use beside Node, and says what is there. Needs root only where something
# is missing. Each row: the command that shows that it is there, and the package that brings it.
set -euo pipefail

services=(
  'age age'
)

missing=()
for service in "${services[@]}"; do
  read -r command package <<<"$service"
  command -v "$command" >/dev/null || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi
for service in "${services[@]}"; do
  read -r command package <<<"$service"
  echo "$package: $(command -v "$command")"
done
