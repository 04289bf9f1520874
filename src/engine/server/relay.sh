# Joins its input and output to a server, from inside the server's container. It ends when the server closes the
# connection, and says on stderr why there is none.
#
# usage: relay.sh SOCKET | relay.sh FROM_ADDRESS TO_ADDRESS PORT
if command -v perl >/dev/null; then
    exec perl -e '
        use strict;
        use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
        my ($from, $to, $port) = @ARGV;
        my $place = sub {
            my ($address, $number) = @_;
            return $address =~ /:/ ? pack_sockaddr_in6($number, inet_pton(AF_INET6, $address))
                : pack_sockaddr_in($number, inet_pton(AF_INET, $address));
        };
        my ($family, $there) = @ARGV == 1 ? (AF_UNIX, pack_sockaddr_un($from))
            : ($from =~ /:/ ? AF_INET6 : AF_INET, $place->($to, $port));
        socket(my $server, $family, SOCK_STREAM, 0) or die "no socket: $!\n";
        if (@ARGV > 1) { bind($server, $place->($from, 0)) or die "$!\n" }
        connect($server, $there) or die "$!\n";
        my $rest = sub {
            my ($in, $out) = @_;
            while (sysread($in, my $bytes, 65536)) {
                while (length $bytes) { substr($bytes, 0, (syswrite($out, $bytes) or return), "") }
            }
        };
        my $child = fork();
        defined $child or die "$!\n";
        if (!$child) { $rest->(\*STDIN, $server); shutdown($server, 1); exit }
        $rest->($server, \*STDOUT);
        kill "TERM", $child;
    ' "$@"
elif [ $# = 3 ] && command -v nc >/dev/null; then
    exec nc -s "$1" "$2" "$3"
else
    echo 'the image has no perl' >&2
    exit 1
fi
