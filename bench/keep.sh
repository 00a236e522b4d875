#!/bin/sh
# Bits a weight, error and speed of a quantized checkpoint as it is kept and as it is rounded again, as a table for docs/import.md.
#   bench/keep.sh CHECKPOINT TEXT [SCHEME...]     CHECKPOINT a GGUF file or a folder; SCHEME also keep:int16 and keep:int8, keep with such inputs
# Error is the KL divergence of predictions from those of the checkpoint's own weights in float32, in thousandths of a nat, over TOKENS of the text,
# and the perplexity over BYTES of it. THREADS, PROMPT and DECODE (tokens of the tests of speed, medians of ROUNDS turns) come from the environment too,
# and so does RUN, what each test of speed is started by: taskset, a lock.
set -eu
: "${PROMPT:=512}" "${DECODE:=128}"
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

files=
for scheme; do
	inputs=
	case $scheme in *:*) inputs="--inputs ${scheme#*:}" ;; esac
	# shellcheck disable=SC2086
	"$dir/qconv" -q --references -1 --in "$checkpoint" --scheme "${scheme%%:*}" $inputs --out "$dir/$scheme.qpt" >"$dir/$scheme.log"
	files="$files $dir/$scheme.qpt"
done
# shellcheck disable=SC2086
"$dir/qrun" diff -q $files --ref "$checkpoint" --text "$dir/text.txt" --tokens "${TOKENS:-512}" --speed=false --json |
	awk -F'[:,]' '/"kl": / { kl = 1 } /"mean": / && kl { printf "%.3g\n", 1000 * $2; kl = 0 }' >"$dir/kl"
for _ in $(seq "${ROUNDS:-3}"); do
	for scheme; do
		# shellcheck disable=SC2086
		${RUN:-} "$dir/qrun" bench -q --model "$dir/$scheme.qpt" --threads "${THREADS:-0}" --prefill "$PROMPT" --decode "$DECODE" --mixed= --format csv |
			awk -F, -v s="$scheme" '/^pp/ { print s, "pp", $6 } /^tg/ { print s, "tg", $6 }' >>"$dir/speed"
	done
done

median() { # of what a test of a scheme gave
	awk -v s="$1" -v t="$2" '$1 == s && $2 == t { print $3 }' "$dir/speed" | sort -g | awk '{ v[NR] = $1 } END { printf "%.0f", v[int((NR + 1) / 2)] }'
}
echo "| scheme | bits a weight | KL, 0.001 nat | perplexity | prompt of $PROMPT, tokens/s | decoding $DECODE, tokens/s |"
echo "|---|---|---|---|---|---|"
at=0
for scheme; do
	at=$((at + 1))
	bits=$(sed -n 's/.* \([0-9.]*\) bits per weight.*/\1/p' "$dir/$scheme.log")
	ppl=$("$dir/qrun" eval -q --model "$dir/$scheme.qpt" --text "$dir/text.txt" --json | awk -F'[:,]' '/"perplexity"/ { printf "%.4f", $2; exit }')
	echo "| \`$scheme\` | $bits | $(sed -n ${at}p "$dir/kl") | $ppl | $(median "$scheme" pp) | $(median "$scheme" tg) |"
done
