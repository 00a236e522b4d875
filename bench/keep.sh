#!/bin/sh
# Bits a weight, error and speed of a quantized checkpoint as it is kept and as it is rounded again, as a table for docs/import.md.
#   bench/keep.sh CHECKPOINT TEXT [SCHEME...]     CHECKPOINT a GGUF file or a folder; SCHEME also keep:int16 and keep:int8, keep with such inputs
# THREADS, PROMPT and DECODE (tokens of the tests) and BYTES of the text to score come from the environment.
set -eu
if [ $# -lt 2 ]; then
	echo "usage: bench/keep.sh CHECKPOINT TEXT [SCHEME...]" >&2
	exit 2
fi
checkpoint=$(realpath "$1")
text=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- keep keep:int16 keep:int8 a16w8 da8w8 da8w6 da8w4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$(dirname "$0")/.."
go build -o "$dir" ./cmd/qconv ./cmd/qrun
head -c "${BYTES:-20000}" "$text" >"$dir/text.txt"
echo "| scheme | bits a weight | perplexity | prompt of ${PROMPT:=512}, tokens/s | decoding ${DECODE:=128}, tokens/s |"
echo "|---|---|---|---|---|"
for scheme; do
	inputs=
	case $scheme in *:*) inputs="--inputs ${scheme#*:}" ;; esac
	# shellcheck disable=SC2086
	"$dir/qconv" -q --references -1 --in "$checkpoint" --scheme "${scheme%%:*}" $inputs --out "$dir/m.qpt" >"$dir/log"
	bits=$(sed -n 's/.* \([0-9.]*\) bits per weight.*/\1/p' "$dir/log")
	ppl=$("$dir/qrun" eval -q --model "$dir/m.qpt" --text "$dir/text.txt" --json | awk -F'[:,]' '/"perplexity"/ { printf "%.4f", $2; exit }')
	speed=$("$dir/qrun" bench -q --model "$dir/m.qpt" --threads "${THREADS:-0}" --prefill "$PROMPT" --decode "$DECODE" --mixed= --format csv |
		awk -F, '/^pp/ { p = $6 } /^tg/ { t = $6 } END { printf "%.3g | %.3g", p, t }')
	echo "| \`$scheme\` | $bits | $ppl | $speed |"
	rm "$dir/m.qpt"
done
