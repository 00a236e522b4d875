package stored

import (
	"errors"
	"fmt"
)

// Codes is a quantized matrix [N, K], or a stack of them one below the other, as a checkpoint has it (numerics N10):
// codes of Bits bits, one scale and perhaps one offset for each group of a row.
// With j the place of a code in its row, g = j/Group its group and k = Order[j]
// (or j) the column it is the weight of,
//
//	W[n, k] = value(code) * Scale[n, g] + Offset[n, g]
//
// each of the two steps rounded to float32, the second left out without
// offsets, and a product with Factor in its place where there is one. value(code) is Table[code], or the integer code - zero where zero is
// Zeros[n, g], or Zero for all groups. Scales may be negative or zero, all
// numbers are finite.
//
// What a format stores otherwise is brought here by its reader where that is
// exact: signed codes by Zero, blocks of several rows by one scale a row,
// groups across the ends of rows by smaller groups, a zero that is a number as
// Offset = -zero*scale only where both products and the sum are exact.
type Codes struct {
	N, K  int
	Bits  int // 2 to 8; a code is at most 2^Bits - 1
	Group int // places of a row that share a scale, the last group may be shorter; at least 16, or K

	Table   []float32 // of 2^Bits values, or nil
	Zero    int       // of all groups, 0 to 2^Bits - 1
	Zeros   bool      // each group has a zero of its own, 0 to 255
	Offsets bool      // each group has an offset
	Factor  float32   // what scaled values are multiplied with, above 0 and up to 1; 0: there is none. Not beside a table or offsets
	Order   []int32   // column of each place, a permutation of 0 to K-1, or nil: place j is column j

	// Acts is what the file says inputs are rounded to, see the constants.
	Acts     Acts
	ActScale float32 // of the static ones
	ActZero  int32   // of Int8Static

	// Read fills b with rows r0 to r1-1. b has room for them and holds anything. Several goroutines may call it at once.
	Read func(r0, r1 int, b *Block) error
}

// LeastGroup is the fewest places that share a scale, but for rows that are shorter.
const LeastGroup = 16

// Acts is what a format asks to be done to the inputs of a matrix.
type Acts string

// Inputs as formats ask for them; those without spaces are rules of numerics N10.4, by name.
const (
	AsTheyAre    Acts = ""                                             // weight-only formats
	Int8PerToken Acts = "int8"                                         // symmetric, per token, while running
	Int16        Acts = "int16"                                        // per token, which no format asks for
	Int8Asym     Acts = "int8-asymmetric"                              // per token, while running
	Int8Static   Acts = "int8-static"                                  // one scale and zero point for all tokens
	FP8PerToken  Acts = "e4m3"                                         // while running
	FP8PerGroup  Acts = "e4m3-128"                                     // per 128 of K, while running
	FP8Static    Acts = "e4m3-static"                                  // one scale for all tokens
	FP4PerGroup  Acts = "fp4 per 16 of K"                              // while running
	Int8PerPass  Acts = "int8 with one scale for all tokens of a pass" // so that they depend on each other
	FP8PerPass   Acts = "e4m3 with one scale for all tokens of a pass" // the same
)

// MXPerGroup are floats of so many bits, per 32 of K, while running.
func MXPerGroup(bits int) Acts { return Acts(fmt.Sprintf("mxfp%d per 32 of K", bits)) }

// Block is some rows of a matrix of codes.
type Block struct {
	Codes  []uint8   // [rows][K], in the order of places
	Scale  []float32 // [rows][G], G = ceil(K/Group)
	Offset []float32 // [rows][G], or empty
	Zeros  []uint8   // [rows][G], or empty
}

// Groups is G, the groups of a row.
func (c *Codes) Groups() int { return (c.K + c.Group - 1) / c.Group }

// Block makes room for rows of c in b.
func (c *Codes) Block(rows int, b *Block) *Block {
	b.Codes, b.Scale = sized(b.Codes, rows*c.K), sized(b.Scale, rows*c.Groups())
	b.Offset, b.Zeros = b.Offset[:0], b.Zeros[:0]
	if c.Offsets {
		b.Offset = sized(b.Offset, rows*c.Groups())
	}
	if c.Zeros {
		b.Zeros = sized(b.Zeros, rows*c.Groups())
	}
	return b
}

func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// check holds the description against the shape of its tensor.
func (c *Codes) check(shape []int) error {
	switch {
	case len(shape) < 2 || shape[len(shape)-1] != c.K || (&Tensor{Shape: shape[:len(shape)-1]}).Values() != c.N || c.N <= 0 || c.K <= 0:
		return fmt.Errorf("codes [%d, %d] of a tensor %v", c.N, c.K, shape)
	case c.Bits < 2 || c.Bits > 8:
		return fmt.Errorf("codes of %d bits, must be 2 to 8", c.Bits)
	case c.Group != c.K && (c.Group < LeastGroup || c.Group > c.K):
		return fmt.Errorf("groups of %d along K = %d, must be 16 to K", c.Group, c.K)
	case c.Table != nil && len(c.Table) != 1<<c.Bits:
		return fmt.Errorf("a table of %d values for codes of %d bits", len(c.Table), c.Bits)
	case c.Table != nil && (c.Zeros || c.Zero != 0):
		return errors.New("a table and zeros")
	case !(c.Factor >= 0 && c.Factor <= 1) || c.Factor != 0 && (c.Table != nil || c.Offsets):
		return fmt.Errorf("a factor of %v; it must be above 0, at most 1, and stand beside neither a table nor offsets", c.Factor)
	case c.Zero < 0 || c.Zero >= 1<<c.Bits || c.Zeros && c.Zero != 0:
		return fmt.Errorf("a zero of %d for codes of %d bits", c.Zero, c.Bits)
	}
	if c.Order == nil {
		return nil
	}
	if len(c.Order) != c.K {
		return fmt.Errorf("an order of %d columns, must be %d", len(c.Order), c.K)
	}
	seen := make([]bool, c.K)
	for j, k := range c.Order {
		if k < 0 || int(k) >= c.K || seen[k] {
			return fmt.Errorf("column %d at place %d of the order is out of range or there twice", k, j)
		}
		seen[k] = true
	}
	return nil
}

// ReadBlock is Read with the result checked: codes of Bits bits, finite scales, offsets and values.
func (c *Codes) ReadBlock(r0, r1 int, b *Block) error {
	if r0 < 0 || r1 < r0 || r1 > c.N {
		return fmt.Errorf("rows %d to %d asked for, it has %d", r0, r1, c.N)
	}
	if err := c.Read(r0, r1, c.Block(r1-r0, b)); err != nil {
		return err
	}
	groups := c.Groups()
	for i, s := range b.Scale {
		if s-s != 0 {
			return fmt.Errorf("%w: the scale of row %d, group %d is %v, must be finite", ErrCodes, r0+i/groups, i%groups, s)
		}
	}
	for i, s := range b.Offset {
		if s-s != 0 {
			return fmt.Errorf("%w: the offset of row %d, group %d is %v, must be finite", ErrCodes, r0+i/groups, i%groups, s)
		}
	}
	if c.Bits < 8 {
		for i, q := range b.Codes {
			if q>>c.Bits != 0 {
				return fmt.Errorf("%w: code %d at row %d, place %d has more than %d bits", ErrCodes, q, r0+i/c.K, i%c.K, c.Bits)
			}
		}
	}
	return nil
}

// Dequantize writes rows of b, as ReadBlock gave them, to dst [rows][K], columns in their own order.
func (c *Codes) Dequantize(b *Block, dst []float32) {
	groups := c.Groups()
	var values [256]float32
	if c.Table != nil {
		copy(values[:], c.Table)
	} else {
		for q := range values {
			values[q] = float32(q - c.Zero)
		}
	}
	for r := range len(dst) / c.K {
		codes, row := b.Codes[r*c.K:][:c.K], dst[r*c.K:][:c.K]
		for g := range groups {
			scale, j1 := b.Scale[r*groups+g], min((g+1)*c.Group, c.K)
			var zero, offset float32
			if c.Zeros {
				zero = float32(b.Zeros[r*groups+g])
			}
			if c.Offsets {
				offset = b.Offset[r*groups+g]
			}
			for j := g * c.Group; j < j1; j++ {
				v := float32(values[codes[j]])
				if c.Zeros {
					v -= zero
				}
				v = float32(v * scale)
				if c.Factor != 0 {
					v *= c.Factor
				}
				if c.Offsets {
					v += offset
				}
				if c.Order != nil {
					row[c.Order[j]] = v
				} else {
					row[j] = v
				}
			}
		}
	}
}
