#!/usr/bin/env bash
# Build the leaderboard's script and its licence texts from their sources. With --check: only compare, write nothing.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
web="$root/benchmark/leaderboard/web"
site="$root/benchmark/leaderboard/site"

[ -d "$web/node_modules/esbuild" ] || (cd "$web" && npm ci --no-audit --no-fund)

if [ "${1:-}" = "--check" ]; then
    built="$(mktemp -d)"
    trap 'rm -rf "$built"' EXIT
    (cd "$web" && node build.mjs "$built")
    for file in board.js licences.txt; do
        cmp "$built/$file" "$site/$file" || { echo "$file is not what its sources make: run scripts/build_web.sh" >&2; exit 1; }
    done
    echo "board.js and licences.txt are what their sources make"
else
    (cd "$web" && node build.mjs "$site")
fi
