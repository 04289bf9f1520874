#!/bin/sh
# Builds the image that the tests of the Docker kind use, from this machine's own Debian package sources, so that no
# image registry is needed. Does nothing where the engine has the image already.
#
# usage: build-image.sh [MAJOR] [TAG]      root on Debian 12; needs mmdebstrap and a running engine
set -eu

major=${1:-15}
tag=${2:-postgres:$major}
here=$(cd "$(dirname "$0")" && pwd)

if docker image inspect "$tag" >/dev/null 2>&1; then
    echo "$tag: present"
    exit 0
fi
for program in docker mmdebstrap; do
    if ! command -v "$program" >/dev/null; then
        echo "error: $program is missing (apt-get install docker.io mmdebstrap)" >&2
        exit 1
    fi
done

. /etc/os-release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# How this machine reaches its package sources: proxies, retries, credentials' places.
apt-config dump | grep -E '^Acquire::(http|https|Retries|ForceIPv4)(::| )' >"$work/apt.conf" || true

set --
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    # Only the distribution's own packages: an unrelated source may be out of reach, or without a key here.
    if [ -s "$list" ] && grep -qE "(^|[[:space:]])${VERSION_CODENAME}([[:space:]]|\$)" "$list"; then
        set -- "$@" "$list"
    fi
done
if [ $# = 0 ]; then
    echo "error: found no package source of $VERSION_CODENAME below /etc/apt" >&2
    exit 1
fi

mmdebstrap --quiet --mode=root --variant=minbase --include="postgresql-$major" \
    --aptopt="$work/apt.conf" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --essential-hook='mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
    --customize-hook="install -m 755 '$here/entrypoint.sh' \"\$1/usr/local/bin/docker-entrypoint.sh\"" \
    --customize-hook='mkdir -p "$1/docker-entrypoint-initdb.d"' \
    --customize-hook='rm -rf "$1/var/cache/apt" "$1/var/lib/apt/lists" "$1/var/log/"*.log' \
    "$VERSION_CODENAME" "$work/root.tar" "$@"

docker import \
    --change "ENV PATH=/usr/lib/postgresql/$major/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    --change "ENV PG_MAJOR=$major" \
    --change "ENV LANG=C.UTF-8" \
    --change "ENV PGDATA=/var/lib/postgresql/data" \
    --change "VOLUME /var/lib/postgresql/data" \
    --change "EXPOSE 5432" \
    --change 'ENTRYPOINT ["docker-entrypoint.sh"]' \
    --change 'CMD ["postgres"]' \
    "$work/root.tar" "$tag" >/dev/null
echo "$tag: built"
