# The first process of a kept container: makes one fresh cluster with the image's own entry point, then waits until nobody
# has used the container for a while, and ends it.
#
# usage: keeper.sh IDLE_SECONDS HOME COMMAND…      COMMAND is the image's entry point with the server and its options
set -u
trap 'exit 0' TERM INT

idle=$1 home=$2
shift 2
mkdir -p "$home/kept" && chmod 1777 "$home" "$home/kept" || exit 1

"$@" 2>"$home/log" &
server=$!
# The temporary server of an entry point says the same on stdout.
until grep -q 'database system is ready to accept connections' "$home/log"; do
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$home/log" >&2
        exit 1
    fi
    sleep 0.05
done
kill -INT "$server"
wait "$server"
touch "$home/used" "$home/ready" && chmod 666 "$home/used" || exit 1
echo 'dbbuild: the container is ready' >&2

while :; do
    sleep 5 &
    wait $!
    for guest in "$home"/port-*; do
        [ -e "$guest" ] || continue
        if kill -0 "$(cat "$guest/guest" 2>/dev/null)" 2>/dev/null; then
            touch "$home/used"
        else
            # It ends at this moment, or somebody killed what would have removed it.
            now=$(date +%s)
            since=$(stat -c %Y "$guest" 2>/dev/null || echo "$now")
            [ $((now - since)) -le 60 ] || rm -rf "$guest"
        fi
    done
    [ $(($(date +%s) - $(stat -c %Y "$home/used"))) -le "$idle" ] || exit 0
done
