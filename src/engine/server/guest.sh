# A throwaway server inside a kept container. It lives as long as its standard input, which the engine closes when the
# dbbuild that asked for it ends, however that ends.
#
# usage: guest.sh HOME FROM PORT… -- SERVER_OPTION…      FROM is a stopped data directory, which is copied
#
# It begins at the line `begin`: an engine whose client went away while the script was being started never closes its input,
# and what was not begun holds nothing. It says `port PORT`, then answers one line for each that it reads:
#   alive             alive | ended; after `ended` the end of the server's log up to a line `.`
#   stop              stopped STATUS KILOBYTES
#   keep KEY OTHER…   kept | error WORDS; whatever is kept under other keys than these is removed
#   end               nothing; it ends. An engine under load can miss that the connection is closed
set -u
home=$1 from=$2
shift 2
ports=
while [ "$1" != -- ]; do
    ports="$ports $1"
    shift
done
shift

folder= server=
finish() {
    trap - EXIT
    if [ -n "$server" ]; then
        kill -QUIT "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    fi
    [ -z "$folder" ] || rm -rf "$folder"
    touch "$home/used"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM PIPE

fail() {
    echo "error $*"
    exit 1
}

{ read -r word && [ "$word" = begin ]; } || exit 1

# Another dbbuild may be making the container, or use all of its ports for the moment.
tries=0
until [ -e "$home/ready" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 1200 ] || fail 'the container did not become ready'
    sleep 0.05
done
touch "$home/used"
while [ -z "$folder" ]; do
    for port in $ports; do
        if mkdir "$home/port-$port" 2>/dev/null; then
            folder=$home/port-$port
            break
        fi
    done
    tries=$((tries + 1))
    [ -n "$folder" ] || { [ "$tries" -lt 1400 ] && sleep 0.05; } || fail 'all ports of the container are taken'
done
echo $$ >"$folder/guest"

cp -a "$from" "$folder/data" 2>"$folder/log" || fail "cannot copy $from: $(head -n 1 "$folder/log")"
postgres -D "$folder/data" -p "$port" "$@" >"$folder/log" 2>&1 </dev/null &
server=$!
echo "port $port"

while read -r word rest; do
    case $word in
    alive)
        if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
            echo alive
        else
            echo ended
            tail -n 20 "$folder/log"
            echo .
        fi
        ;;
    stop)
        kill -INT "$server"
        wait "$server"
        status=$?
        server=
        echo "stopped $status $(du -sk "$folder/data" | cut -f 1)"
        ;;
    keep)
        # shellcheck disable=SC2086 # several keys in one line
        set -- $rest
        for other in "$home"/kept/*; do
            case " $* " in
            *" ${other##*/} "*) ;;
            *) rm -rf "$other" ;;
            esac
        done
        free=$(df -Pk "$home" | { read -r _; read -r _ _ _ free _; echo "$free"; })
        if [ "$free" -lt 1048576 ]; then
            echo 'error there is no room'
        elif [ -e "$home/kept/$1" ]; then
            echo 'error it is kept already'
        elif mv "$folder/data" "$home/kept/$1"; then
            echo kept
        else
            echo 'error it cannot be moved'
        fi
        ;;
    end) exit 0 ;;
    esac
done
