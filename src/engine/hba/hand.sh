# What dbbuild does to the files of a server as the server's user. Status 3: there is no such file.
set -eu
umask 077
owner() { stat -L -c '%u:%g' -- "$1" 2>/dev/null || stat -L -f '%u:%g' "$1"; }
case "$1" in
stat)
    [ -e "$2" ] || exit 3
    stat -L -c '%s %Y %Z' -- "$2" 2>/dev/null || stat -L -f '%z %m %c' "$2"
    ;;
read)
    [ -e "$2" ] || exit 3
    cat "$2"
    ;;
list)
    ls -a "$2"
    ;;
replace)
    # $3 is the file whose owner and mode a new one gets.
    path=$2
    like=$3
    if [ -e "$path" ]; then
        path=$(readlink -f "$path")
        like=$path
    fi
    mkdir -p "$(dirname "$path")"
    new=$(mktemp "$(dirname "$path")/.dbbuild-XXXXXX")
    trap 'rm -f "$new"' EXIT
    cp -p "$like" "$new"
    if [ "$(owner "$new")" != "$(owner "$like")" ]; then
        echo "this user cannot give a new file the owner and group of the old one" >&2
        exit 1
    fi
    cat >"$new"
    sync
    mv -f "$new" "$path"
    trap - EXIT
    ;;
resolve)
    [ -e "$2" ] || exit 3
    readlink -f "$2"
    ;;
keep) ln "$2" "$3" 2>/dev/null || cp -p "$2" "$3" ;;
rename) mv -f "$2" "$3" ;;
remove) rm -f "$2" ;;
esac
