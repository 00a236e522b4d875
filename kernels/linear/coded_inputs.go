package linear

import (
	"fmt"
	"math"

	"qpt/internal/num"
	"qpt/kernels/elem"
)

// Rounding is what a checkpoint asks to be done to the inputs of a matrix of codes (numerics N10.4).
type Rounding struct {
	Kind  RoundKind
	Scale float32 // of static kinds
	Zero  int32   // of RoundInt8Static, -128 to 127
}

// RoundKind is the rule of a Rounding.
type RoundKind uint8

// Rules: s is the scale of a row, x becomes s*q.
const (
	RoundNone       RoundKind = iota
	RoundInt8                 // s = absmax/127.5, q = round(x/s) within -128..127
	RoundInt8Asym             // s = (max-min)/255 with min <= 0 <= max, z = round(-128 - min/s), q = round(x/s + z) - z, the former within -128..127
	RoundInt8Static           // the same with s and z of the file
	RoundE4M3                 // s = absmax/448, q = e4m3(x/s)
	RoundE4M3Block            // the same for each 128 values of a row
	RoundE4M3Static           // q = e4m3(x/s) with s of the file, x/s within -448..448
	RoundInt16                // s = absmax/T, q = round(x * (T/absmax)), T = 127*256: as without a rule, of two bytes in place of three
)

var roundNames = [...]string{"", "int8", "int8-asymmetric", "int8-static", "e4m3", "e4m3-128", "e4m3-static", "int16"}

func (k RoundKind) String() string { return roundNames[k] }

// Static says whether the scale is the file's.
func (k RoundKind) Static() bool { return k == RoundInt8Static || k == RoundE4M3Static }

// Check tells whether a rounding is one that exists.
func (r Rounding) Check() error {
	switch {
	case int(r.Kind) >= len(roundNames):
		return fmt.Errorf("inputs are rounded by rule %d, which is unknown", r.Kind)
	case r.Kind.Static() != (r.Scale != 0) || !(r.Scale >= 0 && r.Scale <= math.MaxFloat32):
		return fmt.Errorf("inputs rounded by %q have a scale of %v", r.Kind, r.Scale)
	case r.Zero < -128 || r.Zero > 127 || r.Zero != 0 && r.Kind != RoundInt8Static:
		return fmt.Errorf("inputs rounded by %q have a zero of %d", r.Kind, r.Zero)
	}
	return nil
}

// ParseRounding finds a rule by name.
func ParseRounding(name string) (RoundKind, error) {
	for i, s := range roundNames {
		if s == name {
			return RoundKind(i), nil
		}
	}
	return 0, fmt.Errorf("inputs rounded by %q: the rule is unknown", name)
}

// e4m3Block is the values that share a scale of RoundE4M3Block.
const e4m3Block = 128

// Row writes to dst what the rounding makes of a row x of inputs; a row that holds NaN or an infinity becomes NaN.
func (r Rounding) Row(dst, x []float32) {
	switch r.Kind {
	case RoundNone:
		copy(dst, x)
	case RoundE4M3Block:
		for len(x) > 0 {
			n := min(e4m3Block, len(x))
			Rounding{Kind: RoundE4M3}.Row(dst[:n], x[:n])
			dst, x = dst[n:], x[n:]
		}
	default:
		s := r.codes(dst, x)
		for i := range x {
			dst[i] *= s
		}
	}
}

// scale is the s of a row, and the zero point of integers; s is 0 for a row of zeros or nearly, NaN for one with NaN or an infinity.
func (r Rounding) scale(x []float32) (s, zero float32) {
	abs := math.Float32frombits(elem.AbsMax(x))
	if !(abs <= math.MaxFloat32) {
		return float32(math.NaN()), 0
	}
	switch s = r.Scale; r.Kind {
	case RoundInt8:
		s = abs / 127.5
	case RoundInt8Static:
		zero = float32(r.Zero)
	case RoundInt8Asym:
		var least, most float32
		for _, v := range x {
			if v < least { // by far quicker than the builtin min and max
				least = v
			} else if v > most {
				most = v
			}
		}
		if s = (most - least) / 255; s >= tinyScale {
			zero = min(max(float32(num.RoundEven(-128-least/s)), -128), 127)
		}
	case RoundE4M3:
		s = abs / 448
	}
	if s < tinyScale {
		return 0, 0
	}
	return s, zero
}

// codes writes the q of a row, integers or values of e4m3, and gives s.
func (r Rounding) codes(q, x []float32) (s float32) {
	q = q[:len(x)]
	if r.Kind == RoundInt16 {
		s, by := elem.RowScale(x, wordTop)
		for i, v := range x {
			q[i] = float32(num.RoundEven(v * by))
		}
		return s
	}
	s, zero := r.scale(x)
	switch {
	case !(s > 0):
		clear(q)
	case r.Kind == RoundE4M3 || r.Kind == RoundE4M3Static:
		for i, v := range x {
			q[i] = roundE4M3(v / s)
		}
	default:
		for i, v := range x {
			q[i] = float32(num.RoundEven(min(max(v/s+zero, -128), 127))) - zero
		}
	}
	return s
}

// tinyScale is the least scale of a row; rows of less become zeros.
const tinyScale = 1e-30

// digits is how many the integers of a row have.
func (r Rounding) digits() int {
	switch {
	case r.Kind == RoundInt8 || r.Kind == RoundInt8Static && r.Zero == 0:
		return 1
	case r.Kind == RoundInt16, r.Kind == RoundInt8Static, r.Kind == RoundInt8Asym: // the latter codes less their zero points
		return 2
	}
	return 3
}

// E4M3 is the value of an e4m3 code; codes 127 and 255, which are NaN, count as 480 and -480.
func E4M3(b byte) float32 {
	v := math.Float32frombits(uint32(b&127)<<20) * 0x1p120
	if b > 127 {
		return -v
	}
	return v
}

// roundE4M3 is the nearest value of e4m3, ties to even, of those within -448..448.
func roundE4M3(x float32) float32 {
	const least = 1.0 / 64     // of normal numbers
	const units = 3 << 22 >> 9 // in a sum with it, as float32, numbers are whole multiples of 2^-9
	switch {
	case x > 448:
		return 448
	case x < -448:
		return -448
	case x < least && x > -least:
		return float32(x+units) - units
	}
	b := math.Float32bits(x) // three bits of the fraction stay
	return math.Float32frombits((b + 0x7ffff + b>>20&1) &^ 0xfffff)
}
