# Shared by the programs that act on a running deploy/compose.yaml. Source it after setup.sh.
# shellcheck shell=bash

compose_files=(-f "$troupe_root/deploy/compose.yaml")
[[ -z ${TROUPE_KEYS:-} ]] || compose_files+=(-f "$troupe_root/deploy/compose.keys.yaml") # a cluster with keys: where they are

compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose "${compose_files[@]}" "$@"
  else
    docker-compose "${compose_files[@]}" "$@"
  fi
}

# containers: a line for each of this deployment, its fields set apart by tabs: id, service, name, image, state, addresses.
# Addresses are those of the networks it is on, set apart by commas; the dashboard calls a worker by its own.
containers() {
  local ids tab=$'\t' state='{{with index .State "Health"}}{{.Status}}{{else}}{{$.State.Status}}{{end}}'
  local service='{{index .Config.Labels "com.docker.compose.service"}}' addresses='{{range .NetworkSettings.Networks}}{{.IPAddress}},{{end}}'
  mapfile -t ids < <(compose ps -q)
  [[ ${#ids[@]} -gt 0 ]] || return 0
  docker inspect --format "{{.Id}}$tab$service$tab{{slice .Name 1}}$tab{{.Config.Image}}$tab$state$tab$addresses" "${ids[@]}" | sed 's/,*$//'
}
