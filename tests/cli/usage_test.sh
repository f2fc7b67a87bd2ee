#!/bin/bash
# Help, versions and usage errors: who types something wrong learns what is right.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

expect 2 "Usage: missive [OPTION...] COMMAND" "$missive"
expect 2 "there is no command 'ftech'" "$missive" ftech
for command in serve fetch ping sim; do
    [[ $output == *"  $command "* ]] || fail "$command is not among the commands told: $output"
done
expect 2 "Try" "$missive" --no-such-option

expect 0 "missive 0." "$missive" --version
expect 0 "missive 0." "$missive" serve --version
expect 0 "Commands:" "$missive" --help
expect 0 "Usage: missive serve [OPTION...] DIR" "$missive" serve --help
expect 0 "Usage: missive fetch [OPTION...] HOST:PORT DEST" "$missive" fetch --help
expect 0 "Usage: missive ping [OPTION...] HOST:PORT" "$missive" ping --help
expect 0 "Usage: missive sim [OPTION...]" "$missive" sim --help

expect 2 "which directory?" "$missive" serve
expect 2 "one directory at a time" "$missive" serve a b
expect 2 "--port takes a number from 0 to 32767, not '32768'" "$missive" serve --port 32768 /
expect 2 "--port takes a number" "$missive" serve --port -1 /
expect 2 "--port takes a number" "$missive" serve --port 1x /
expect 2 "--port takes a number" "$missive" serve --port '' /
expect 2 "--threads takes a number" "$missive" serve --threads 0 /

expect 2 "which server?" "$missive" fetch
expect 2 "where to?" "$missive" fetch localhost:1
expect 2 "not also 'b'" "$missive" fetch localhost:1 a b
expect 2 "--in-flight takes a number from 1 to 1024" "$missive" fetch --in-flight 1025 localhost:1 a

expect 2 "which server?" "$missive" ping
expect 2 "--count takes a number" "$missive" ping --count 0 localhost:1
expect 2 "--interval takes seconds" "$missive" ping --interval -1 localhost:1
expect 2 "--interval takes seconds" "$missive" ping --interval nan localhost:1
expect 2 "--size takes a number from 4 to 1000000" "$missive" ping --size 1000001 localhost:1

# An option of the command is not taken for one of the program's.
expect 2 "which directory?" "$missive" serve --port 0
