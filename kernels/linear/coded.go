package linear

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"qpt/internal/num"
)

// Coded is what a weight of format Codes has besides Data: codes as another tool stored them, with float scales
// (numerics N10). With j the place of a code in its row, g = j/Group and k = Order[j], or j,
//
//	W[n, k] = value * Scale[n, g] + Offset[n, g]     value = code - zero, or Table[code]
//
// each step rounded; without offsets the second is left out, or with a Factor a product with it. Data is [Np/16][ceil(K/32)][Bits][16][4]: 32 places of 16
// columns, as planes of 8, 4, 2 and 1 bits, the widest one, of the lowest bits, first. A plane of p bits is p
// lines of 4 bytes a column; bits p*f.. of byte i in line l belong to place 4*(8/p*l + f) + i.
type Coded struct {
	Bits   int       // 2 to 8
	Zero   int       // of all groups, where there are neither Zeros nor a Table
	Table  []float32 // [1<<Bits] or nil
	Zeros  []byte    // [Np/16][G][16] or nil
	Factor float32   // 0: there is none
	Scale  Numbers
	Offset Numbers // of form 0: none
	Order  []int32 // [K], or nil
	Round  Rounding

	found atomic.Pointer[codedWays] // see ways
}

// tilePlaces is the places of a tile of Data.
const tilePlaces = 32

// NumberForm is how the scales or offsets of groups are stored.
type NumberForm uint8

// Forms of numbers, all exact. Products are int8 times a float32 for each 256 places.
const (
	NumF32 NumberForm = iota + 1
	NumF16
	NumBF16
	NumE8M0
	NumProduct
	numU8 // of zeros
)

var numberForms = [...]string{0: "none", NumF32: "f32", NumF16: "f16", NumBF16: "bf16", NumE8M0: "e8m0", NumProduct: "i8*f32"}

func (f NumberForm) String() string {
	if int(f) < len(numberForms) {
		return numberForms[f]
	}
	return fmt.Sprintf("form(%d)", uint8(f))
}

// ParseNumberForm finds a form by name.
func ParseNumberForm(name string) (NumberForm, error) {
	for i, s := range numberForms {
		if s == name {
			return NumberForm(i), nil
		}
	}
	return 0, fmt.Errorf("numbers of form %q are unknown", name)
}

// Bytes is the size of one.
func (f NumberForm) Bytes() int {
	return [...]int{0: 0, NumF32: 4, NumF16: 2, NumBF16: 2, NumE8M0: 1, NumProduct: 1, numU8: 1}[f]
}

// superPlaces is what one float32 of products spans.
const superPlaces = 256

// Numbers are one float32 a group and column.
type Numbers struct {
	Form  NumberForm
	Data  []byte    // [Np/16][G][16]
	Super []float32 // [Np/16][ceil(K/256)][16], of products
}

// CodedSizes are the lengths that the slices of a weight of format Codes must have.
type CodedSizes struct{ Data, Zeros, Scale, ScaleSuper, Offset, OffsetSuper int }

// Sizes returns them, or what is wrong with the description for a matrix [n, k] in such groups.
func (c *Coded) Sizes(n, k, group int) (s CodedSizes, err error) {
	switch {
	case n <= 0 || k <= 0:
		return s, fmt.Errorf("weight of shape [%d, %d]: both must be positive", n, k)
	case c.Bits < 2 || c.Bits > 8:
		return s, fmt.Errorf("codes of %d bits, must be 2 to 8", c.Bits)
	case group != k && (group < 16 || group > k):
		return s, fmt.Errorf("group size %d, must be 16 to %d", group, k)
	case group > MaxK:
		return s, fmt.Errorf("group size %d, can be %d", group, MaxK)
	case c.Table != nil && (len(c.Table) != 1<<c.Bits || c.Zero != 0 || c.Zeros != nil || c.Offset.Form != 0):
		return s, fmt.Errorf("a table of %d values for codes of %d bits, zero %d, offsets %v; it must be whole, and beside neither zeros nor offsets", len(c.Table), c.Bits, c.Zero, c.Offset.Form)
	case !(c.Factor >= 0 && c.Factor <= 1) || c.Factor != 0 && (c.Table != nil || c.Offset.Form != 0):
		return s, fmt.Errorf("a factor of %v; it must be above 0, at most 1, and beside neither a table nor offsets", c.Factor)
	case c.Zero < 0 || c.Zero >= 1<<c.Bits || c.Zeros != nil && c.Zero != 0:
		return s, fmt.Errorf("zero %d for codes of %d bits", c.Zero, c.Bits)
	case c.Order != nil && len(c.Order) != k:
		return s, fmt.Errorf("an order of %d columns, must be %d", len(c.Order), k)
	}
	np := num.Pad(n, 16)
	groups, supers := np*((k+group-1)/group), np*((k+superPlaces-1)/superPlaces)
	s.Data = np * num.Pad(k, tilePlaces) * c.Bits / 8
	if c.Zeros != nil {
		s.Zeros = groups
	}
	for _, x := range []struct {
		form        NumberForm
		size, super *int
	}{{c.Scale.Form, &s.Scale, &s.ScaleSuper}, {c.Offset.Form, &s.Offset, &s.OffsetSuper}} {
		if int(x.form) >= len(numberForms) {
			return s, fmt.Errorf("numbers of form %d are unknown", x.form)
		}
		if *x.size = groups * x.form.Bytes(); x.form == NumProduct {
			if superPlaces%group != 0 {
				return s, fmt.Errorf("group size %d for products, must divide %d", group, superPlaces)
			}
			*x.super = supers
		}
	}
	if c.Scale.Form == 0 {
		return s, fmt.Errorf("scales are missing")
	}
	return s, nil
}

// checkCoded is Check for format Codes.
func (w *Weight) checkCoded() error {
	c := w.Coded
	if c == nil {
		return fmt.Errorf("weight [%d, %d] of format %s without a description of its codes", w.N, w.K, w.Format)
	}
	s, err := c.Sizes(w.N, w.K, w.Group)
	if err != nil {
		return err
	}
	bias := 0
	if w.Bias != nil {
		bias = num.Pad(w.N, 16)
	}
	for _, x := range []struct {
		name       string
		have, want int
	}{
		{"data", len(w.Data), s.Data}, {"zeros", len(c.Zeros), s.Zeros}, {"scales", len(c.Scale.Data), s.Scale}, {"scales of products", len(c.Scale.Super), s.ScaleSuper},
		{"offsets", len(c.Offset.Data), s.Offset}, {"offsets of products", len(c.Offset.Super), s.OffsetSuper}, {"bias", len(w.Bias), bias},
	} {
		if x.have != x.want {
			return fmt.Errorf("weight [%d, %d] of format %s: %s has length %d, must be %d", w.N, w.K, w.Format, x.name, x.have, x.want)
		}
	}
	return nil
}

// codedBytes is the size in Data of 16 columns.
func (w *Weight) codedBytes() int { return num.Pad(w.K, tilePlaces) * 2 * w.Coded.Bits }

// planes calls f for the planes of codes of so many bits: the bits of one, where its lines begin in a tile, and how far its bits are shifted.
func planes(bits int, f func(p plane)) {
	line, shift := 0, 0
	for lg := 3; lg >= 0; lg-- {
		if p := 1 << lg; bits&p != 0 {
			f(plane{lg, line, shift})
			line, shift = line+p, shift+p
		}
	}
}

// plane holds 2^lg bits of the codes of a tile, those from shift on, from a line on.
type plane struct{ lg, line, shift int }

// at is where the bits of place j are: the byte of a tile from its column's first on, and the bit.
func (p plane) at(j int) (b, bit int) {
	l := j % tilePlaces / 4
	return (p.line+l>>(3-p.lg))*64 + j%4, l & (1<<(3-p.lg) - 1) << p.lg
}

func (p plane) mask() uint8 { return uint8(1<<(1<<p.lg) - 1) }

// PutCodes stores codes [K] as row n, in the order of places.
func (w *Weight) PutCodes(n int, codes []uint8) {
	if w.Format != Codes || n < 0 || n >= w.N || len(codes) != w.K {
		panic("linear: PutCodes: codes of another weight")
	}
	size := w.Coded.Bits * 64
	row := w.Data[n/16*w.codedBytes()+n%16*4:]
	planes(w.Coded.Bits, func(p plane) {
		mask := p.mask()
		for j, q := range codes {
			b, bit := p.at(j)
			at := &row[j/tilePlaces*size+b]
			*at = *at&^(mask<<bit) | q>>p.shift&mask<<bit
		}
	})
}

// unpackGeneric writes the codes of some tiles to panel [places/4][16][4]; see unpackArgs.
func (c *Coded) unpackGeneric(panel, tiles []byte) {
	clear(panel)
	planes(c.Bits, func(p plane) {
		for l := range len(panel) / 64 {
			b, bit := p.at(4 * l)
			for i, v := range tiles[l/8*c.Bits*64+b:][:64] {
				panel[l*64+i] |= v >> bit & p.mask() << p.shift
			}
		}
	})
}

// value is that of a code.
func (c *Coded) value(q uint8, zero float32) float32 {
	if c.Table != nil {
		return c.Table[q]
	}
	return float32(q) - zero
}

// code is the code of place j in a block, from its column's first byte on.
func (c *Coded) code(column []byte, j int) (q uint8) {
	planes(c.Bits, func(p plane) {
		b, bit := p.at(j)
		q |= column[j/tilePlaces*c.Bits*64+b] >> bit & p.mask() << p.shift
	})
	return q
}

// read decodes the numbers of groups [g0, g1) of block b, [g1-g0][16].
func (x *Numbers) read(dst []float32, w *Weight, b, g0, g1 int) {
	for i := range dst[:(g1-g0)*16] {
		dst[i] = x.at(w, b, g0+i/16, i%16)
	}
}

// at is the number of group g of block b and column n of it.
func (x *Numbers) at(w *Weight, b, g, n int) float32 {
	i := (b*w.GroupCount()+g)*16 + n
	switch x.Form {
	case NumF32:
		return math.Float32frombits(binary.LittleEndian.Uint32(x.Data[4*i:]))
	case NumF16:
		return num.FromF16(binary.LittleEndian.Uint16(x.Data[2*i:]))
	case NumBF16:
		return num.FromBF16(binary.LittleEndian.Uint16(x.Data[2*i:]))
	case NumE8M0:
		return FromE8M0(x.Data[i])
	case numU8:
		return float32(x.Data[i])
	case NumProduct:
		supers := (w.K + superPlaces - 1) / superPlaces
		return float32(int8(x.Data[i])) * x.Super[(b*supers+g*w.Group/superPlaces)*16+n]
	}
	panic("linear: numbers of no form")
}

// FromE8M0 is 2^(e-127).
func FromE8M0(e byte) float32 {
	if e == 0 {
		return math.Float32frombits(1 << 22)
	}
	return math.Float32frombits(uint32(e) << 23)
}
