package stored

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// sample is a matrix of 3 rows of 5 codes whose groups are two and a half.
func sample(c Codes, code uint8) *Tensor {
	c.N, c.K = 3, 40
	if c.Group == 0 {
		c.Group = 16
	}
	c.Read = func(r0, r1 int, b *Block) error {
		for i := range b.Codes {
			b.Codes[i] = code + uint8((r0*40+i)%7)
		}
		for i := range b.Scale {
			b.Scale[i] = float32(1+r0*3+i) / 8
		}
		for i := range b.Offset {
			b.Offset[i] = -float32(i) - float32(r0)
		}
		for i := range b.Zeros {
			b.Zeros[i] = uint8(i%3 + r0)
		}
		return nil
	}
	return &Tensor{Name: "w", File: "f", Shape: []int{3, 40}, Codes: &c}
}

// The formula, one value at a time, against Dequantize, in rows and in parts.
func TestDequantize(t *testing.T) {
	order := make([]int32, 40)
	for j := range order {
		order[j] = int32((j*7 + 3) % 40)
	}
	for name, c := range map[string]Codes{
		"zero":    {Bits: 4, Zero: 8},
		"zeros":   {Bits: 4, Zeros: true},
		"offsets": {Bits: 3, Offsets: true, Group: 40},
		"table":   {Bits: 4, Table: []float32{0, 1, -2, 3, -4.5, 5, 6, -7, 8, 9, 10, 11, 12, 13, 14, 15}},
		"order":   {Bits: 8, Zero: 128, Order: order},
	} {
		x := sample(c, 0)
		ck, err := New([]*Tensor{x}, Source{})
		if err != nil {
			t.Fatal(name, err)
		}
		have := make([]float32, 120)
		if err := ck.ReadRows("w", 0, 3, have); err != nil {
			t.Fatal(name, err)
		}
		groups := x.Codes.Groups()
		for n := range 3 {
			for j := range 40 {
				g, k := j/x.Codes.Group, j
				v := float32((n*40+j)%7 - c.Zero)
				if c.Table != nil {
					v = c.Table[(n*40+j)%7]
				}
				if c.Zeros {
					v -= float32((n*groups + g) % 3)
				}
				v = float32(v * float32(1+n*groups+g) / 8)
				if c.Offsets {
					v -= float32(n*groups + g)
				}
				if c.Order != nil {
					k = int(order[j])
				}
				if have[n*40+k] != v {
					t.Fatalf("%s: row %d, place %d: %v, want %v", name, n, j, have[n*40+k], v)
				}
			}
		}
		part := make([]float32, 50)
		if err := ck.ReadPart("w", 33, part); err != nil || !slices.Equal(part, have[33:83]) {
			t.Errorf("%s: a part differs from the rows (%v)", name, err)
		}
	}
}

// Each rule of Codes has its error.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		codes Codes
		shape []int
		want  string
	}{
		{Codes{Bits: 4}, []int{40, 3}, "codes [3, 40] of a tensor"},
		{Codes{Bits: 9}, []int{3, 40}, "codes of 9 bits"},
		{Codes{Bits: 4, Group: 8}, []int{3, 40}, "groups of 8"},
		{Codes{Bits: 4, Table: make([]float32, 15)}, []int{3, 40}, "a table of 15 values"},
		{Codes{Bits: 4, Table: make([]float32, 16), Zero: 8}, []int{3, 40}, "a table and zeros"},
		{Codes{Bits: 4, Zero: 16}, []int{3, 40}, "a zero of 16"},
		{Codes{Bits: 4, Order: make([]int32, 40)}, []int{3, 40}, "column 0 at place 1"},
		{Codes{Bits: 4, Order: make([]int32, 4)}, []int{3, 40}, "an order of 4 columns"},
	} {
		x := sample(c.codes, 0)
		x.Shape = c.shape
		_, err := New([]*Tensor{x}, Source{})
		if !errors.Is(err, ErrCodes) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.codes, err, c.want)
		}
	}
	x := sample(Codes{Bits: 4}, 0)
	if _, err := New([]*Tensor{x, x}, Source{}); !errors.Is(err, ErrCodes) {
		t.Errorf("two tensors of a name: %v", err)
	}
}

// What a file holds is checked when it is read.
func TestReadChecks(t *testing.T) {
	read := func(x *Tensor, change func(b *Block)) error {
		if change != nil {
			inner := x.Codes.Read
			x.Codes.Read = func(r0, r1 int, b *Block) error { err := inner(r0, r1, b); change(b); return err }
		}
		c, err := New([]*Tensor{x}, Source{})
		if err != nil {
			t.Fatal(err)
		}
		return c.ReadRows("w", 0, 3, make([]float32, 120))
	}
	nan := float32(math.NaN())
	for want, err := range map[string]error{
		"code 16 at row 0, place 1":        read(sample(Codes{Bits: 4}, 15), nil),
		"scale of row 1, group 2 is NaN":   read(sample(Codes{Bits: 4}, 0), func(b *Block) { b.Scale[5] = nan }),
		"offset of row 0, group 1 is -Inf": read(sample(Codes{Bits: 4, Offsets: true}, 0), func(b *Block) { b.Offset[1] = float32(math.Inf(-1)) }),
		"weight of row 0, column 1 is":     read(sample(Codes{Bits: 8}, 200), func(b *Block) { b.Scale[0] = math.MaxFloat32 / 200.5 }),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrCodes) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Heads refuses what does not fit together, and what would take too much memory.
func TestHeadsRefuses(t *testing.T) {
	of := func(shape ...int) *Tensor { return &Tensor{Name: "t", Shape: shape} }
	for _, c := range []struct {
		k, v *Tensor
		want string
	}{
		{of(2, 8), of(2, 4, 8), "are not the keys"}, {of(2, 8, 4), of(3, 4, 8), "are not the keys"}, {of(2, 8, 4), of(2, 4, 9), "are not the keys"},
		{of(1, 1<<20, 1<<20), of(1, 4, 1<<20), "are not read"},
	} {
		if _, err := Heads("kv", c.k, c.v); !errors.Is(err, ErrCodes) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v: %v, want %q", c.k.Shape, c.v.Shape, err, c.want)
		}
	}
}
