#!/bin/sh
# Start-up of the test image: keeps the contract of the official PostgreSQL images as far as dbbuild relies on it.
#
#   POSTGRES_PASSWORD, POSTGRES_USER (postgres), POSTGRES_DB (= user), POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD, PGDATA
#
# A first start makes the cluster and the database with a temporary server, which logs to stdout and listens on no
# network; the final server logs to stderr. Scripts in /docker-entrypoint-initdb.d are run with *.sh and *.sql.
set -eu

PGDATA=${PGDATA:-/var/lib/postgresql/data}
POSTGRES_USER=${POSTGRES_USER:-postgres}
POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
export PGDATA POSTGRES_USER POSTGRES_DB

# "-c name=value" alone means: the server with these options.
case "${1:-}" in
-*) set -- postgres "$@" ;;
esac

if [ "${1:-}" != postgres ]; then
    exec "$@"
fi

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    chmod 2775 /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

run_script() {
    case $1 in
    *.sh) if [ -x "$1" ]; then "$1"; else . "$1"; fi ;;
    *.sql) psql -v ON_ERROR_STOP=1 -X -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$1" ;;
    *.sql.gz) gunzip -c "$1" | psql -v ON_ERROR_STOP=1 -X -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" ;;
    esac
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    auth=${POSTGRES_HOST_AUTH_METHOD:-}
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$auth" != trust ]; then
        echo "error: no superuser password: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
        exit 1
    fi
    password_file=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:-}" >"$password_file"
    # shellcheck disable=SC2086 # several arguments in one variable, as the official images have it
    if [ -n "${POSTGRES_PASSWORD:-}" ]; then
        eval 'initdb --username="$POSTGRES_USER" --pwfile="$password_file" '"${POSTGRES_INITDB_ARGS:-}"
    else
        eval 'initdb --username="$POSTGRES_USER" '"${POSTGRES_INITDB_ARGS:-}"
    fi
    rm -f "$password_file"
    printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
    printf 'host all all all %s\n' "${auth:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

    # The same options as the final server, so that preloaded libraries are there for the scripts.
    shift
    postgres "$@" -c listen_addresses= -p 5432 2>&1 &
    temporary=$!
    set -- postgres "$@"
    tries=0
    until pg_isready -q -h /var/run/postgresql -U "$POSTGRES_USER"; do
        kill -0 "$temporary" || exit 1
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || exit 1
        sleep 0.05
    done
    export PGHOST=/var/run/postgresql PGPASSWORD="${POSTGRES_PASSWORD:-}"
    if [ "$POSTGRES_DB" != postgres ]; then
        psql -v ON_ERROR_STOP=1 -X -q -U "$POSTGRES_USER" -d postgres -v name="$POSTGRES_DB" <<'SQL'
CREATE DATABASE :"name";
SQL
    fi
    for script in /docker-entrypoint-initdb.d/*; do
        [ -e "$script" ] && run_script "$script"
    done
    unset PGHOST PGPASSWORD
    kill -INT "$temporary"
    wait "$temporary" || true
    echo "PostgreSQL init process complete; ready for start up."
fi

exec "$@"
