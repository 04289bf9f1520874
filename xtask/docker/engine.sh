#!/bin/sh
# Starts a Docker engine where none answers, and stops only the one that it started.
#
# usage: engine.sh start|stop      root; needs dockerd (apt-get install docker.io)
set -eu

run=${DBBUILD_ENGINE_DIR:-/run/dbbuild-test-engine}

answers() {
    timeout 5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# Waits for an answer as long as the engine runs, 30 s at most.
wait_for() {
    tries=0
    while [ "$tries" -lt 150 ]; do
        answers && return 0
        kill -0 "$1" 2>/dev/null || return 1
        tries=$((tries + 1))
        sleep 0.2
    done
    return 1
}

start() {
    if answers; then
        echo "docker: an engine answers already"
        return 0
    fi
    if ! command -v dockerd >/dev/null; then
        echo "error: dockerd is missing (apt-get install docker.io)" >&2
        return 1
    fi
    mkdir -p "$run"
    # Poorer machines (nested containers) refuse packet filters or overlay mounts: try the usual engine first.
    for options in "" "--iptables=false --ip6tables=false" "--iptables=false --ip6tables=false --storage-driver=vfs" \
        "--iptables=false --ip6tables=false --storage-driver=vfs --bridge=none"; do
        # shellcheck disable=SC2086 # several options in one variable
        setsid dockerd $options >"$run/log" 2>&1 </dev/null &
        engine=$!
        if wait_for "$engine"; then
            echo "$engine" >"$run/pid"
            echo "docker: started an engine${options:+ with $options}"
            return 0
        fi
        kill "$engine" 2>/dev/null || true
        wait "$engine" 2>/dev/null || true
    done
    echo "error: no Docker engine starts here; the end of its log:" >&2
    tail -n 20 "$run/log" >&2
    return 1
}

stop() {
    [ -s "$run/pid" ] || return 0
    engine=$(cat "$run/pid")
    # The id may belong to another process by now.
    if [ "$(cat "/proc/$engine/comm" 2>/dev/null)" = dockerd ]; then
        kill "$engine"
        tries=0
        while kill -0 "$engine" 2>/dev/null && [ "$tries" -lt 150 ]; do
            tries=$((tries + 1))
            sleep 0.2
        done
        echo "docker: stopped the engine"
    fi
    rm -rf "$run"
}

case "${1:-}" in
start) start ;;
stop) stop ;;
*)
    echo "usage: engine.sh start|stop" >&2
    exit 2
    ;;
esac
