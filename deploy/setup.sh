# Shared by deploy/up and tests/run: brings a bare Debian 12 machine to a built tree. Source it; every step is idempotent.
# shellcheck shell=bash

troupe_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
troupe_cache=${XDG_CACHE_HOME:-$HOME/.cache}/troupe
export TROUPE_MODELS=${TROUPE_MODELS:-$troupe_cache/models}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Installs the Debian packages of these lists in deploy/ that are not there yet; packages.txt when none is named.
install_packages() {
  local missing=() lists=("${@:-packages.txt}") name
  while read -r name; do
    [[ -z $name || $name == \#* ]] && continue
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing+=("$name")
  done < <(cd "$troupe_root/deploy" && cat "${lists[@]}")
  [[ ${#missing[@]} -eq 0 ]] && return
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local root=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || die "these packages are missing and this user may not install them: ${missing[*]}"
    root=(sudo)
  fi
  local log
  log=$(mktemp)
  # An old package list is the usual reason for a failed install: refresh it first.
  if ! { "${root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq \
    --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "installing packages failed; the whole output is in $log"
  fi
  rm -f "$log"
  # Debian starts what it installs; a Prometheus nobody configured would hold port 9090.
  if [[ " ${missing[*]} " == *" prometheus "* && -d /run/systemd/system ]]; then
    "${root[@]}" systemctl disable --now prometheus >/dev/null 2>&1 || true
  fi
}

# Turns ninja's "[12/240] ..." lines into one moving bar on a terminal; passes errors through.
progress_bar() {
  local line shown=0
  while IFS= read -r line; do
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      local done=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
      if [[ -t 2 ]]; then
        local width=40 filled
        filled=$((done * width / all))
        printf '\r  %-9s [%-40s] %d/%d ' "building" "$(printf '%*s' "$filled" '' | tr ' ' '#')" "$done" "$all" >&2
      elif ((done * 10 / all > shown)) || ((done == all)); then
        shown=$((done * 10 / all))
        printf '  building %d/%d\n' "$done" "$all" >&2
      fi
    else
      printf '%s\n' "$line" >&2
    fi
  done
  [[ -t 2 ]] && printf '\n' >&2
  return 0
}

# build PRESET [TARGET...]: configures when needed and builds.
build() {
  local preset=$1
  shift
  mkdir -p "$troupe_root/build/$preset"
  local log=$troupe_root/build/$preset/configure.log
  (cd "$troupe_root" && cmake --preset "$preset" >"$log" 2>&1) || {
    tail -n 30 "$log" >&2
    die "configuring failed"
  }
  local jobs
  jobs=$(nproc)
  (cd "$troupe_root" && ninja -C "build/$preset" -j "$jobs" "$@" 2>&1 | progress_bar; exit "${PIPESTATUS[0]}") ||
    die "building failed"
}

# pull_models NAME...: fetches model files into the cache; SHA-256 is checked by the program.
pull_models() {
  local name
  for name in "$@"; do
    "$troupe_root/build/release/bin/troupe" models pull "$name" || die "fetching model $name failed"
  done
}

# The pinned peer's source package holds tokenizer vectors and chat templates that tests compare with.
fetch_peer_source() {
  local version=0.3.36
  local folder=$troupe_cache/peer/llama_cpp_python-$version
  [[ -f $folder/.complete ]] && return
  say "fetching test vectors (source package llama-cpp-python $version)"
  local work
  work=$(mktemp -d)
  python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary llama-cpp-python -d "$work" \
    "llama-cpp-python==$version" >&2 || die "fetching the source package failed"
  local archive
  archive=$(find "$work" -name '*.tar.gz' | head -n 1)
  [[ -n $archive ]] || die "the source package did not arrive"
  mkdir -p "$troupe_cache/peer"
  tar -xzf "$archive" -C "$troupe_cache/peer"
  touch "$folder/.complete"
  rm -rf "$work"
}

# python_environment: a venv with the clients of the APIs that are served and a browser's driver, for tests that use Troupe as a user does.
python_environment() {
  local venv=$troupe_cache/venv packages=(openai==3.57.0 langchain-openai==1.7.4 anthropic==2.14.0 ollama==0.6.3 httpx==0.27.2 selenium==4.51.0 PyYAML==6.0.3 kubernetes-validate==1.37.0
    openapi-spec-validator==0.9.0 schemathesis==4.32.5)
  [[ -x $venv/bin/python && $(cat "$venv/.complete" 2>/dev/null) == "${packages[*]}" ]] && return
  say "making a Python environment with ${packages[*]}"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "${packages[@]}"
  echo "${packages[*]}" >"$venv/.complete"
}
