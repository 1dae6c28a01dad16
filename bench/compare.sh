#!/usr/bin/env bash
# Compares the calls of two commits, or of go-sqlite3 with ours, and exits 1 if
# any of them became slower beyond the noise.
#
#   bench/compare.sh BASE [HEAD]   two commits; without HEAD: the files as they are
#   bench/compare.sh raw [HEAD]    go-sqlite3 as it comes, against ours
#
# COUNT runs of each, alternating (10). A call counts as slower if benchstat is
# sure of it (ALPHA, 0.005: there are twenty calls) and it is by more than LIMIT (5) %.
# A call that only one of the commits measures is named, and not compared.
# Commits are compared by their ratio to go-sqlite3 within the same
# milliseconds: that the machine was slower during one of them says nothing.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
base=${1:?usage: bench/compare.sh BASE|raw [HEAD]} head=${2:-}
count=${COUNT:-10} alpha=${ALPHA:-0.005} limit=${LIMIT:-5}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# build COMMIT NAME: the benchmarks of a commit as $tmp/NAME.test
build() {
	if [ -z "$1" ]; then
		go test -c -o "$tmp/$2.test" ./bench
		return
	fi
	git rev-parse --verify --quiet "$1^{commit}" >/dev/null || { echo "bench/compare.sh: no commit $1" >&2; exit 2; }
	mkdir "$tmp/$2"
	git archive "$1" | tar -x -C "$tmp/$2"
	(cd "$tmp/$2" && go test -c -o "$tmp/$2.test" ./bench)
}
run() { (cd bench && "$tmp/$1.test" -test.run '^$' -test.bench '^BenchmarkCalls$' -test.benchtime "${BENCHTIME:-15x}") >>"$tmp/$1.out"; }

# only METRIC NAME: of each line, that metric alone, under NAME
only() { awk -v metric="$1" -v name="$2" '/^Benchmark/ { for (i = 3; i < NF; i += 2) if ($(i + 1) == metric) print $1, 1, $i, name }'; }

build "$head" head
[ "$base" = raw ] || build "$base" base
for ((i = 1; i <= count; i++)); do
	echo "run $i of $count" >&2
	[ "$base" = raw ] || run base
	run head
done
if [ "$base" = raw ]; then
	only raw-ns ns/op <"$tmp/head.out" >"$tmp/base.txt"
	only ns ns/op <"$tmp/head.out" >"$tmp/head.txt"
else
	for side in base head; do only hotswap/raw hotswap/raw <"$tmp/$side.out" >"$tmp/$side.txt"; done
fi

go tool benchstat -alpha "$alpha" "base=$tmp/base.txt" "head=$tmp/head.txt"
go tool benchstat -alpha "$alpha" -format csv "base=$tmp/base.txt" "head=$tmp/head.txt" 2>/dev/null | awk -F, -v limit="$limit" '
	$1 !~ /^Calls\// { next }
	$2 == "" || $4 == "" { print "not compared: " $1 ", which only " ($2 == "" ? "head" : "base") " has"; next }
	{ calls++; if ($6 ~ /^\+/ && $6 + 0 > limit) { slower++; print "slower: " $1 " " $6 } }
	END {
		if (!calls) { print "nothing to compare"; exit 1 }
		if (slower) exit 1
		print "no call is slower by more than " limit " %"
	}'
