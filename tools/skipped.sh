#!/bin/sh
# Tells what tests left out, a paragraph for each place. Called by `make system` with the file to
# which the tests have added a line for each scenario: PLACE (REASON), a tab, SCENARIO. If there is
# none, nothing was left out.
set -eu
[ -f "$1" ] || exit 0
LC_ALL=C sort -u "$1" | awk -F '\t' -v width=100 '
    function put(word) {
        if (length(line) + length(word) > width) { print line; line = "   " }
        line = line word
    }
    $1 != place {
        if (line) print line
        place = $1
        line = "skipped: " place ":"
        separator = ""
    }
    {
        line = line separator
        put(" " $2)
        separator = ","
    }
    END { if (line) print line }'
