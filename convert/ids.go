package convert

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

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
func idRows(path string, m *hf.Model) ([][]int32, error) {
	c, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var ids, mask *safetensors.Tensor
	var names []string
	for _, name := range c.Names() {
		t, _ := c.Tensor(name)
		holds := "no integers"
		if len(t.Shape) == 4 {
			holds = "images"
		}
		switch {
		case name == maskName:
			mask = t
			continue
		case holds == "images" || !isInteger(t.DType):
			return nil, fmt.Errorf("%s: %s holds %s, but this model (%s) takes token ids: give %s as integers", path, describe(t), holds, m.Type, idsName)
		case ids == nil || name == idsName:
			ids = t
		}
		names = append(names, fmt.Sprintf("%.100q", name))
	}
	switch {
	case ids == nil:
		return nil, fmt.Errorf("%s has no tensor of token ids: give %s as integers, [samples, length]", path, idsName)
	case ids.Name != idsName && len(names) > 1:
		return nil, fmt.Errorf("%s: which tensor holds the token ids, %.500s? name it %s", path, strings.Join(names, " or "), idsName)
	case len(ids.Shape) != 1 && len(ids.Shape) != 2:
		return nil, fmt.Errorf("%s: %s: token ids are [samples, length] or [length]", path, describe(ids))
	case ids.NumElems() == 0:
		return nil, fmt.Errorf("%s: %s holds nothing", path, describe(ids))
	}
	length := ids.Shape[len(ids.Shape)-1]
	n := ids.NumElems() / length
	if n > maxIDRows || ids.NumElems() > maxIDs {
		return nil, fmt.Errorf("%s: %s: at most %d rows and %d token ids are read: give fewer", path, describe(ids), maxIDRows, maxIDs)
	}
	id, err := integers(ids)
	if err != nil {
		return nil, err
	}
	token := func(int) int64 { return 1 }
	if mask != nil {
		if !isInteger(mask.DType) && mask.DType != safetensors.BOOL || !slices.Equal(mask.Shape, ids.Shape) {
			return nil, fmt.Errorf("%s: %s: must be integers of the shape of %s", path, describe(mask), describe(ids))
		}
		if token, err = integers(mask); err != nil {
			return nil, err
		}
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
func describe(t *safetensors.Tensor) string {
	return fmt.Sprintf("tensor %.100q %v %.100s", t.Name, t.DType, fmt.Sprint(t.Shape))
}

func isInteger(d safetensors.DType) bool { return isSigned(d) || isUnsigned(d) }

func isSigned(d safetensors.DType) bool {
	return d == safetensors.I8 || d == safetensors.I16 || d == safetensors.I32 || d == safetensors.I64
}

func isUnsigned(d safetensors.DType) bool {
	return d == safetensors.U8 || d == safetensors.U16 || d == safetensors.U32 || d == safetensors.U64
}

// integers reads a tensor of integers or BOOL. The function returned gives element
// i; those of U64 beyond an int64 become the largest.
func integers(t *safetensors.Tensor) (func(i int) int64, error) {
	b := make([]byte, t.Size())
	if n, err := t.ReadAt(b, 0); n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%s: %s: %w", t.File(), describe(t), err)
	}
	size, shift := t.DType.Bits()/8, 64-t.DType.Bits()
	return func(i int) int64 {
		var word [8]byte
		copy(word[:], b[i*size:(i+1)*size])
		v := binary.LittleEndian.Uint64(word[:])
		if isSigned(t.DType) {
			return int64(v<<shift) >> shift
		}
		return int64(min(v, math.MaxInt64))
	}, nil
}
