package convert

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	nlp "github.com/nlpodyssey/safetensors"

	"qpt/convert/hf"
	"qpt/convert/safetensors"
)

// What calibration data as tensors is called, as in a batch for the model in Python.
const (
	idsName  = "input_ids"
	maskName = "attention_mask"
)

// Bounds of calibration data as tensors: a row costs more than its bytes.
const (
	maxIDRows = 1 << 20
	maxIDs    = 1 << 26
)

// idRows reads calibration data from a .safetensors file: token ids of the model,
// [samples, length] or [length], integers of any width. They are the tensor
// input_ids or else the only one of integers; with input_ids, other integers
// (labels) do not matter. Where attention_mask, of the same shape, is 0, there is no token.
func idRows(path string, file []byte, m *hf.Model) ([][]int32, error) {
	tensors, err := safetensors.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var ids, mask nlp.NamedTensorView
	var names []string
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		t := nlp.NamedTensorView{Name: name, TensorView: tensors[name]}
		holds := "no integers"
		if len(t.TensorView.Shape()) == 4 {
			holds = "images"
		}
		switch {
		case name == maskName:
			mask = t
			continue
		case holds == "images" || !isInteger(t.TensorView.DType()):
			return nil, fmt.Errorf("%s: %s holds %s, but this model (%s) takes token ids: give %s as integers", path, describe(t), holds, m.Type, idsName)
		case names == nil || name == idsName:
			ids = t
		}
		names = append(names, fmt.Sprintf("%.100q", name))
	}
	shape := ids.TensorView.Shape()
	switch {
	case names == nil:
		return nil, fmt.Errorf("%s has no tensor of token ids: give %s as integers, [samples, length]", path, idsName)
	case ids.Name != idsName && len(names) > 1:
		return nil, fmt.Errorf("%s: which tensor holds the token ids, %.500s? name it %s", path, strings.Join(names, " or "), idsName)
	case len(shape) != 1 && len(shape) != 2:
		return nil, fmt.Errorf("%s: %s: token ids are [samples, length] or [length]", path, describe(ids))
	case len(ids.TensorView.Data()) == 0:
		return nil, fmt.Errorf("%s: %s holds nothing", path, describe(ids))
	}
	id, count := integers(ids.TensorView)
	length := int(shape[len(shape)-1])
	n := count / length
	if n > maxIDRows || count > maxIDs {
		return nil, fmt.Errorf("%s: %s: at most %d rows and %d token ids are read: give fewer", path, describe(ids), maxIDRows, maxIDs)
	}
	token := func(int) int64 { return 1 }
	if mask.Name != "" {
		if d := mask.TensorView.DType(); !isInteger(d) && d != nlp.BOOL || !slices.Equal(mask.TensorView.Shape(), shape) {
			return nil, fmt.Errorf("%s: %s: must be integers of the shape of %s", path, describe(mask), describe(ids))
		}
		token, _ = integers(mask.TensorView)
	}
	rows := make([][]int32, n)
	for r := range rows {
		rows[r] = make([]int32, 0, length)
		for k := range length {
			v, on := id(r*length+k), token(r*length+k)
			switch {
			case on != 0 && on != 1:
				return nil, fmt.Errorf("%s: tensor %q: row %d, column %d: %d, must be 0 or 1", path, maskName, r, k, on)
			case on == 1 && (v < 0 || v >= int64(m.Vocab)):
				return nil, fmt.Errorf("%s: tensor %.100q: row %d, column %d: token id %d: must be below %d", path, ids.Name, r, k, v, m.Vocab)
			case on == 1:
				rows[r] = append(rows[r], int32(v))
			}
		}
	}
	return rows, nil
}

// describe names a tensor and what it is, clipped: headers may have megabytes.
func describe(t nlp.NamedTensorView) string {
	return fmt.Sprintf("tensor %.100q %v %.100s", t.Name, t.TensorView.DType(), fmt.Sprint(t.TensorView.Shape()))
}

func isInteger(d nlp.DType) bool {
	return isSigned(d) || d == nlp.U8 || d == nlp.U16 || d == nlp.U32 || d == nlp.U64
}

func isSigned(d nlp.DType) bool {
	return d == nlp.I8 || d == nlp.I16 || d == nlp.I32 || d == nlp.I64
}

// integers reads a tensor of integers or BOOL: the function gives element i of
// count; those of U64 beyond an int64 become the largest.
func integers(t nlp.TensorView) (at func(i int) int64, count int) {
	b, size, signed := t.Data(), int(t.DType().Size()), isSigned(t.DType())
	shift := 64 - 8*size
	return func(i int) int64 {
		var word [8]byte
		copy(word[:], b[i*size:(i+1)*size])
		v := binary.LittleEndian.Uint64(word[:])
		if signed {
			return int64(v<<shift) >> shift
		}
		return int64(min(v, math.MaxInt64))
	}, len(b) / size
}
