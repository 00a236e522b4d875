package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"qpt/internal/num"
)

// Type is how a tensor's numbers are stored; the values are those of the format.
type Type uint32

// The types that this package writes.
const (
	F32  Type = 0
	Q4_0 Type = 2
	Q8_0 Type = 8
	BF16 Type = 30
)

// types holds for each type its block: that many numbers in that many bytes.
var types = map[Type]struct {
	name        string
	numbers     int
	bytes       int
	generalType uint32 // general.file_type of a file of such matrices
}{
	F32:  {"f32", 1, 4, 0},
	BF16: {"bf16", 1, 2, 32},
	Q8_0: {"q8_0", 32, 34, 7},
	Q4_0: {"q4_0", 32, 18, 2},
}

// ParseType finds a type by name.
func ParseType(name string) (Type, error) {
	for t, info := range types {
		if info.name == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("type %q is unknown: must be bf16, f32, q4_0 or q8_0", name)
}

func (t Type) String() string { return types[t].name }

// size is the number of bytes of n numbers; n must be whole blocks.
func (t Type) size(n int) int64 {
	b := types[t]
	return int64(n) / int64(b.numbers) * int64(b.bytes)
}

// put appends the blocks of x to dst; len(x) must be whole blocks. The blocks
// are what llama.cpp's reference quantizer makes of the same numbers:
//
//	Q8_0: d = absmax/127 as f16; 32 codes round(x * (1/d)), ties away from zero
//	Q4_0: d = m/-8 as f16, m the number of largest magnitude, signed;
//	      codes min(15, trunc(x * (1/d) + 8.5)); byte j has code j low and j+16 high
//
// where codes are made with d before its rounding to f16.
func (t Type) put(dst []byte, x []float32) []byte {
	le := binary.LittleEndian
	switch t {
	case F32:
		for _, v := range x {
			dst = le.AppendUint32(dst, math.Float32bits(v))
		}
	case BF16:
		for _, v := range x {
			dst = le.AppendUint16(dst, num.BF16(v))
		}
	case Q8_0:
		for b := range slices.Chunk(x, 32) {
			d := float32(math.Abs(float64(largest(b)))) / 127
			id := inverse(d)
			dst = le.AppendUint16(dst, num.F16(d))
			for _, v := range b {
				dst = append(dst, byte(int8(math.Round(float64(v*id)))))
			}
		}
	case Q4_0:
		for b := range slices.Chunk(x, 32) {
			d := largest(b) / -8
			id := inverse(d)
			dst = le.AppendUint16(dst, num.F16(d))
			for j := range 16 {
				dst = append(dst, code4(b[j]*id)|code4(b[j+16]*id)<<4)
			}
		}
	}
	return dst
}

// code4 is the code of x/d in [-8, 8].
func code4(x float32) byte { return min(15, byte(x+8.5)) }

// largest returns the first number of the largest magnitude.
func largest(x []float32) float32 {
	var most float32
	for _, v := range x {
		if math.Abs(float64(v)) > math.Abs(float64(most)) {
			most = v
		}
	}
	return most
}

// inverse returns 1/d, or 0 for 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}
