package safetensors

import (
	"fmt"
	"math"
	"math/bits"
)

// DType is the type of a tensor's numbers. The order is the format's: by
// alignment, so that writing in descending order keeps every tensor aligned.
type DType uint8

// The dtypes of the format.
const (
	BOOL DType = iota + 1
	F4
	F6E2M3
	F6E3M2
	U8
	I8
	F8E5M2
	F8E4M3
	F8E8M0
	F8E4M3FNUZ
	F8E5M2FNUZ
	I16
	U16
	F16
	BF16
	I32
	U32
	F32
	C64
	F64
	I64
	U64
)

var dtypes = [...]struct {
	name string
	bits int
}{
	BOOL: {"BOOL", 8}, F4: {"F4", 4}, F6E2M3: {"F6_E2M3", 6}, F6E3M2: {"F6_E3M2", 6},
	U8: {"U8", 8}, I8: {"I8", 8}, F8E5M2: {"F8_E5M2", 8}, F8E4M3: {"F8_E4M3", 8},
	F8E8M0: {"F8_E8M0", 8}, F8E4M3FNUZ: {"F8_E4M3FNUZ", 8}, F8E5M2FNUZ: {"F8_E5M2FNUZ", 8},
	I16: {"I16", 16}, U16: {"U16", 16}, F16: {"F16", 16}, BF16: {"BF16", 16},
	I32: {"I32", 32}, U32: {"U32", 32}, F32: {"F32", 32},
	C64: {"C64", 64}, F64: {"F64", 64}, I64: {"I64", 64}, U64: {"U64", 64},
}

// String returns the name that the header uses, "F6_E2M3".
func (d DType) String() string {
	if d.valid() {
		return dtypes[d].name
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Bits returns the size of one number: 4, 6, or a multiple of 8.
func (d DType) Bits() int {
	if d.valid() {
		return dtypes[d].bits
	}
	return 0
}

func (d DType) valid() bool { return d >= BOOL && d <= U64 }

// ParseDType returns the dtype with the header's name s.
func ParseDType(s string) (DType, bool) {
	for d := BOOL; d <= U64; d++ {
		if dtypes[d].name == s {
			return d, true
		}
	}
	return 0, false
}

// byteSize returns the bytes of a tensor, checked against overflow of int.
func byteSize(d DType, shape []int) (int64, error) {
	size := uint64(d.Bits())
	for _, n := range append([]int{1}, shape...) {
		if n < 0 {
			return 0, fmt.Errorf("%w: shape %v of %v has a negative dimension", ErrOverflow, shape, d)
		}
		var hi uint64
		if hi, size = bits.Mul64(size, uint64(n)); hi != 0 || size > math.MaxInt {
			return 0, fmt.Errorf("%w: shape %v of %v has more bits than an int holds", ErrOverflow, shape, d)
		}
	}
	if size%8 != 0 {
		return 0, fmt.Errorf("%w: shape %v of %v has %d bits, must be a multiple of 8", ErrSubByte, shape, d, size)
	}
	return int64(size / 8), nil
}
