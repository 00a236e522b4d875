package linear

import (
	"fmt"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

// Format is how the weights of a linear layer are stored; the number is
// written to .qpt files and never used again for another meaning.
type Format uint16

// Weight formats. Np = N rounded up to 16, K rounded up to Kp = 64s; padding
// rows and columns hold weights of value zero. All multi-byte numbers are
// little-endian. The n16k4 family is one zmm row of VPDPBUSD and one row of an
// AMX B tile: 16 columns of 4 consecutive k each.
const (
	F32  Format = 1 // Data [Np/16][Kp][16] float32
	BF16 Format = 2 // Data [Np/16][Kp/2][16][2] bfloat16
	I8   Format = 3 // Data [Np/16][Kp/4][16][4] int8; Scale, Sum
	// I4 is the two-level int4 (numerics N4): byte b of Data
	// [Np/16][Kp/8][16][4] holds the code of k = 8j+i in its low nibble and
	// of k = 8j+4+i in its high one. Groups [Np/16][G][16] holds one byte a
	// group and column, zero | (gscale-1)<<4; w8 = (code-zero)*gscale; Scale, Sum.
	I4 Format = 4
	// I4F is int4 with float group scales (--compat torchao): Data as I4,
	// Groups [Np/16][G][16] the integer zero point, GroupScale [Np/16][G][16].
	I4F Format = 5
	// I6 is the two-level int6 (numerics N4.7): 16 k of a block are 192 bytes of
	// Data [Np/16][Kp/16][192]: the low four bits of the codes as two lines of I4, then
	// [16][4] bytes of high bits, of which bits 2j.. belong to k = 16l+4j+i. Groups as
	// I4, zero | (gscale-1)<<6; Scale, Sum.
	I6 Format = 6
	// Codes are codes of other tools with float scales: see Coded. Padding is zero bytes.
	Codes Format = 7
)

// Bits is the length of a code, 0 for float formats. A byte of Groups holds a
// zero of as many bits and above it gscale-1.
func (f Format) Bits() int {
	switch f {
	case I8:
		return 8
	case I6:
		return 6
	case I4, I4F:
		return 4
	}
	return 0
}

// Grouped says whether weights of the format have zeros and gscales in groups along K.
func (f Format) Grouped() bool { b := f.Bits(); return b > 0 && b < 8 }

// Levels returns the greatest code of a grouped format and its greatest gscale.
func (f Format) Levels() (code, gscale int) { return 1<<f.Bits() - 1, 1 << (8 - f.Bits()) }

// Weight is one packed linear layer W[N, K]; its slices usually point into a
// mapped file and are read-only. y[m, n] = sum over k of x[m, k] * W[n, k].
type Weight struct {
	Format Format
	N, K   int
	Group  int // I4, I4F, I6: weights a group along K: 16, 32, 64 or 128; G = ceil(K/Group)

	Data       []byte
	Groups     []byte
	GroupScale []float32
	Scale      []float32 // [Np] per-channel scale (I8, I6, I4)
	Sum        []int32   // [Np] sum over k of w8[n, k] (I8, I6, I4), the zero-point compensation
	Bias       []float32 // [Np] or nil

	Coded *Coded // Codes

	// Wild are columns, ascending, whose inputs and weights stay float32 (numerics N3.7): of I8 for A8. Data has zeros there.
	Wild     []int32
	WildData []float32 // [Np/16][len(Wild)][16]

	tuned *tuned // see Tune
}

// MaxK is the longest row whose products with 8-bit inputs an int32 is sure to hold (numerics N3.5).
const MaxK = 1 << 16

// Sizes returns the lengths that the slices of a weight must have.
func Sizes(f Format, n, k, group int) (data, groups, groupScale, scale, sum int, err error) {
	if n <= 0 || k <= 0 {
		return 0, 0, 0, 0, 0, fmt.Errorf("weight of shape [%d, %d]: both must be positive", n, k)
	}
	np, kp := num.Pad(n, 16), num.Pad(k, 64)
	switch f {
	case F32:
		return np * kp * 4, 0, 0, 0, 0, nil
	case BF16:
		return np * kp * 2, 0, 0, 0, 0, nil
	case I8:
		return np * kp, 0, 0, np, np, nil
	case I4, I4F, I6:
		if group != 16 && group != 32 && group != 64 && group != 128 {
			return 0, 0, 0, 0, 0, fmt.Errorf("group size %d: must be 16, 32, 64 or 128", group)
		}
		g := np * ((k + group - 1) / group)
		if f == I4F {
			return np * kp / 2, g, g, 0, 0, nil
		}
		return np * kp * f.Bits() / 8, g, 0, np, np, nil
	}
	return 0, 0, 0, 0, 0, fmt.Errorf("weight format %d is unknown", f)
}

// ActForm is how the input rows of a linear layer are stored.
type ActForm uint8

// Input forms. A8 and A16 are integers per row (numerics N3) kept as unsigned
// byte planes, so that VPDPBUSD and TDPBUSD take them as they are:
//
//	A8:  x = Scale[m] * (Hi[m][k] - Zero[m])
//	A16: x = Scale[m] * (256*(Hi[m][k]-128) + Lo[m][k])
//
// AF32 and ABF16 hold the numbers themselves. A24 is integers of one to three signed bytes, as layers of format Codes take them
// (numerics N10.2): Hi has, of each four values in turn, four bytes a digit, the lowest digits first, in room for four
// digits, or for one where there are no more; Sums the sums of the integers of each group, as float32.
const (
	AF32  ActForm = 1
	ABF16 ActForm = 2
	A8    ActForm = 3
	A16   ActForm = 4
	A24   ActForm = 5
)

// Acts is a block of M input rows. Rows are Stride bytes apart (Stride >= Kp,
// a multiple of 64 that is not a multiple of 512, so that the 16 rows of a
// tile fall in different cache sets). Bytes for k in [K, Kp) hold values whose
// product with the zero weights there is harmless; they must be written once.
type Acts struct {
	Form   ActForm
	M, K   int
	Stride int       // elements from row to row, in every plane
	F32    []float32 // AF32
	BF16   []uint16  // ABF16
	Hi, Lo []byte    // A8, A24: Hi only
	Scale  []float32 // [M]
	Zero   []int32   // [M], A8: zero point, 128 when symmetric
	Sums   []float32 // [M][ceil(K/Group)], A24
	Wild   []float32 // [M][wild columns], A8
	tame   []uint32  // [K] all bits of the other columns
	For    CodedRows // what is done to rows: of A24, of AF32 for format Codes, of A8 with wild columns
}

// AddWild gives w wild columns, ascending, with weights of 0 so far; none: nothing.
func (w *Weight) AddWild(columns []int32) {
	if len(columns) > 0 {
		w.Wild, w.WildData = columns, make([]float32, len(columns)*num.Pad(w.N, 16))
	}
}

// WildAt is where in WildData the weight of row n in the i-th wild column lies.
func (w *Weight) WildAt(n, i int) int { return (n/16*len(w.Wild)+i)*16 + n%16 }

// NewWeight allocates a weight of value zero, its slices aligned to cache
// lines. It panics on a shape or group that Sizes refuses.
func NewWeight(f Format, n, k, group int) *Weight {
	data, groups, gscale, scale, sum, err := Sizes(f, n, k, group)
	if err != nil {
		panic("linear: NewWeight: " + err.Error())
	}
	return &Weight{Format: f, N: n, K: k, Group: group, Data: mem.Bytes(data), Groups: mem.Bytes(groups),
		GroupScale: make([]float32, gscale), Scale: make([]float32, scale), Sum: make([]int32, sum)}
}

// Check tells whether the slices have the lengths that format and shape demand.
func (w *Weight) Check() error {
	if w.Format == Codes {
		return w.checkCoded()
	}
	data, groups, gscale, scale, sum, err := Sizes(w.Format, w.N, w.K, w.Group)
	if err != nil {
		return err
	}
	bias := 0
	if w.Bias != nil {
		bias = num.Pad(w.N, 16)
	}
	for _, s := range []struct {
		name       string
		have, want int
	}{
		{"data", len(w.Data), data}, {"groups", len(w.Groups), groups}, {"group scales", len(w.GroupScale), gscale},
		{"scales", len(w.Scale), scale}, {"sums", len(w.Sum), sum}, {"bias", len(w.Bias), bias}, {"wild columns' weights", len(w.WildData), len(w.Wild) * num.Pad(w.N, 16)},
	} {
		if s.have != s.want {
			return fmt.Errorf("weight [%d, %d] of format %d: %s has length %d, must be %d", w.N, w.K, w.Format, s.name, s.have, s.want)
		}
	}
	last := int32(-1)
	for _, k := range w.Wild {
		if k <= last || int(k) >= w.K || w.Format != I8 {
			return fmt.Errorf("weight [%d, %d] of format %d: wild columns %v must ascend within the row, and be of format %d", w.N, w.K, w.Format, w.Wild, I8)
		}
		last = k
	}
	return nil
}

// Blocks is the number of blocks of 16 columns.
func (w *Weight) Blocks() int { return (w.N + 15) / 16 }

// Columns is the layer of the columns of blocks [b0, b1) alone, in the same memory.
func (w *Weight) Columns(b0, b1 int) Weight {
	c, blocks := *w, w.Blocks()
	c.N = min(16*b1, w.N) - 16*b0
	c.Data, c.Groups = part(w.Data, b0, b1, blocks), part(w.Groups, b0, b1, blocks)
	c.GroupScale, c.Scale = part(w.GroupScale, b0, b1, blocks), part(w.Scale, b0, b1, blocks)
	c.Sum, c.Bias, c.WildData = part(w.Sum, b0, b1, blocks), part(w.Bias, b0, b1, blocks), part(w.WildData, b0, b1, blocks)
	return c
}

// part is the share of blocks [b0, b1) of a slice that all blocks share alike; nil of nil.
func part[T any](x []T, b0, b1, blocks int) []T {
	if x == nil {
		return nil
	}
	n := len(x) / blocks
	return x[b0*n : b1*n : b1*n]
}

// GroupCount is G, the groups along K (grouped formats).
func (w *Weight) GroupCount() int { return (w.K + w.Group - 1) / w.Group }

// GroupedK is the part of Kp that groups cover; codes beyond it count as weights of value zero.
func (w *Weight) GroupedK() int { return min(w.GroupCount()*w.Group, num.Pad(w.K, 64)) }
