#!/bin/sh
# peers.sh CHECKPOINT DIR [SCHEME ..]: throughput of an encoder beside ONNX Runtime int8 and OpenVINO bf16 and int8, in turns, on lines of 128
# tokens and on lines of 5 to 60. CHECKPOINT is a folder of sentence-transformers' kind whose texts are pooled by their mean, such as
# all-MiniLM-L6-v2. What is in DIR is not made again. PYTHON (python3) has torch, transformers, onnx, onnxruntime and openvino; ROUNDS (5), THREADS (2), TEXT, PEERS.
set -e
cd "$(dirname "$0")/../.."
in=$1 dir=$2
shift 2
[ $# -gt 0 ] || set -- da8w8
export PYTHON=${PYTHON:-python3}
mkdir -p "$dir"
[ -f "$dir/mixed.txt" ] || $PYTHON bench/encoders/lines.py "$in/tokenizer.json" "${TEXT:-testdata/text/tinystories_eval.txt}" "$dir"
$PYTHON bench/encoders/peer.py make "$in" "$dir"
go build -o "$dir/" ./cmd/qconv ./bench/encoders
for scheme in "$@"; do
	"$dir/qconv" -q --in "$in" --scheme "$scheme" --out "$dir/$scheme.qpt" >/dev/null
	shift
	set -- "$@" "$dir/$scheme.qpt"
done
for peer in ${PEERS-onnx-int8 openvino-bf16 openvino-int8}; do
	set -- "$@" --peer "$PYTHON bench/encoders/peer.py $peer $in $dir"
done
exec "$dir/encoders" --rounds "${ROUNDS:-5}" --threads "${THREADS:-2}" --text "$dir/128.txt" --text "$dir/mixed.txt" "$@"
