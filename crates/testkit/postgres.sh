# A private PostgreSQL for tests, as an ordinary user: no port, only a socket.
#
#     sh postgres.sh DIRECTORY [PORT]
#
# makes DIRECTORY with a fresh server in it, prints the address of the server
# once it answers, and stops the server and removes DIRECTORY when standard
# input ends. That is the only signal, because it also comes when whoever started
# this script is killed. With a PORT the server is one to measure on: on the loopback
# interface, with PostgreSQL's own settings, so that a commit waits for the disk.
set -eu
umask 077
trap '' INT TERM HUP

directory=$1 port=${2:-}

bin=
for candidate in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /none/initdb)")"; do
    if [ -x "$candidate/initdb" ]; then bin=$candidate; fi
done
if [ -z "$bin" ]; then
    echo "PostgreSQL is not installed (Debian: apt install postgresql): no initdb found" >&2
    exit 3
fi

# Making a cluster takes a second or two, copying one a tenth of that.
cache=${TMPDIR:-/tmp}/tokenfleet-testkit-$(id -u)
template=$cache/$("$bin/postgres" --version | tr -c 'A-Za-z0-9.\n' _)
mkdir -p "$cache"
[ -O "$cache" ] || { echo "$cache belongs to somebody else" >&2; exit 4; }
(
    flock 9
    if [ ! -d "$template" ]; then
        rm -rf "$template.new"
        "$bin/initdb" --pgdata="$template.new" --username=tokenfleet --auth=trust \
            --encoding=UTF8 --locale=C --no-sync >"$cache/initdb.log" 2>&1 ||
            { cat "$cache/initdb.log" >&2; exit 5; }
        mv "$template.new" "$template"
    fi
) 9>"$cache/lock"

mkdir -p "$directory/socket"
cp -r "$template" "$directory/data"

if [ -n "$port" ]; then
    cat >>"$directory/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$directory/socket'
CONF
    url=postgres://tokenfleet@127.0.0.1:$port/postgres
else
    # Tests do not survive a power cut anyway: nothing is synchronised to the disk.
    cat >>"$directory/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$directory/socket'
max_connections = 300
shared_buffers = 64MB
fsync = off
full_page_writes = off
autovacuum = off
CONF
    url="postgres://tokenfleet@localhost/postgres?host=$directory/socket"
fi

if ! "$bin/pg_ctl" start --wait --silent --pgdata="$directory/data" \
    --log="$directory/log" </dev/null >/dev/null 2>&1; then
    cat "$directory/log" >&2
    rm -rf "$directory"
    exit 6
fi
echo "$url"
exec >/dev/null 2>&1

cat >/dev/null
"$bin/pg_ctl" stop --mode=immediate --pgdata="$directory/data"
rm -rf "$directory"
