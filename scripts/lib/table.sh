# shellcheck shell=bash
# The cluster and its nodes in one view: as a table, and as JSON.

STATES=() # of each node: up, starting, paused, down, silent or alien

# nodes_awk VAR=VALUE…: runs nodes.awk with what this folder knows of the nodes.
nodes_awk() {
  local node states="" planned="" role
  for ((node = 0; node < ${#ADDRS[@]}; node++)); do
    states="$states ${STATES[node]:-up}"
    role=replica
    if [[ -n ${CONF_MASTERS:-} && -n ${NUMS[node]:-} ]]; then
      case " $CONF_MASTERS " in *" ${NUMS[node]} "*) role=master ;; esac
    elif ((${NUMS[node]:-$((node + 1))} <= MASTERS)); then
      role=master
    fi
    case " ${CONF_SPARES:-} " in *" ${NUMS[node]:--} "*) role=master ;; esac
    planned="$planned $role"
  done
  state_run nodes "states=$states" "plan=$planned" "numbers=${NUMS[*]-}" "$@"
}

# nodes_json prints the nodes as JSON objects.
nodes_json() { nodes_awk json=1; }
