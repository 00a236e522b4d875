#!/bin/sh
# Compares with llama.cpp; see README.md.
#   bench/peers.sh DIR [GGUFTYPE:SCHEME[,SCHEME...] ...]
set -eu
if [ $# -lt 1 ]; then
	echo "usage: bench/peers.sh DIR [q4_0:da8w4,a16w4 q8_0:da8w8,a16w8 ...]; DIR takes some 5 GB" >&2
	exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- q4_0:da8w4,a16w4 q8_0:da8w8,a16w8
cd "$(dirname "$0")/.."
go build -o "$dir" ./cmd/qconv ./cmd/qrun
if [ ! -d "$dir/node_modules/node-llama-cpp" ]; then
	# Only the CPU package; nothing is compiled or downloaded by scripts.
	npm install --prefix "$dir" --ignore-scripts --omit=optional --no-audit --no-fund node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1 >&2
fi
model=$dir/${SHAPE:=tinyllama-1.1b}
[ -f "$model/config.json" ] || go run ./bench/synth/mkmodel --shape "$SHAPE" --out "$model" --shards 2
for pair; do
	type=${pair%%:*}
	[ -f "$model.$type.gguf" ] || go run ./bench/gguf/mkgguf --in "$model" --type "$type" --out "$model.$type.gguf"
	set --
	for scheme in $(echo "${pair#*:}" | tr , ' '); do
		[ -f "$model.$scheme.qpt" ] || "$dir/qconv" --in "$model" --scheme "$scheme" --references -1 --out "$model.$scheme.qpt" >&2
		set -- "$@" --qpt "$model.$scheme.qpt"
	done
	echo
	node bench/peers.mjs --modules "$dir" --qrun "$dir/qrun" --gguf "$model.$type.gguf" "$@" --threads "${THREADS:=2}" --rounds "${ROUNDS:=5}" --flash "${FLASH:=auto}" --tests "${TESTS:=}"
done
