package convert

import (
	"encoding/binary"
	"math"
	"math/bits"

	"qpt/internal/num"
	"qpt/kernels/linear"
)

// numbersOf stores v [Np/16][G][16], of n rows, in the shortest form that holds each of its bits.
func numbersOf(v []float32, n, groups, group int) linear.Numbers {
	forms := []linear.NumberForm{linear.NumE8M0, linear.NumProduct, linear.NumF16, linear.NumBF16}
	if group == 256 || 256%group != 0 || groups == 1 {
		forms = []linear.NumberForm{linear.NumE8M0, linear.NumF16, linear.NumBF16}
	}
	for _, form := range forms {
		if form == linear.NumProduct {
			if x, ok := products(v, groups, 256/group); ok {
				return x
			}
			continue
		}
		if data, ok := encode(v, form, n, groups); ok {
			return linear.Numbers{Form: form, Data: data}
		}
	}
	return linear.Numbers{Form: linear.NumF32, Data: num.BytesOf(v)}
}

// encode stores every number in a form, or says that one of them has more bits.
func encode(v []float32, form linear.NumberForm, n, groups int) (data []byte, ok bool) {
	for i, x := range v {
		b := math.Float32bits(x)
		var back float32
		switch form {
		case linear.NumF16:
			h := num.F16(x)
			data, back = binary.LittleEndian.AppendUint16(data, h), num.FromF16(h)
		case linear.NumBF16:
			data, back = binary.LittleEndian.AppendUint16(data, uint16(b>>16)), num.FromBF16(uint16(b>>16))
		case linear.NumE8M0:
			e := byte(b >> 23)
			if data, back = append(data, e), linear.FromE8M0(e); i/16/groups*16+i%16 >= n {
				back = 0 // padding
			}
		}
		if math.Float32bits(back) != b {
			return nil, false
		}
	}
	return data, true
}

// products finds for the numbers of each column and run of so many groups one float32 that all are small multiples of.
func products(v []float32, groups, run int) (x linear.Numbers, ok bool) {
	supers := (groups + run - 1) / run
	x = linear.Numbers{Form: linear.NumProduct, Data: make([]byte, len(v)), Super: make([]float32, len(v)/groups*supers)}
	for b := range len(v) / 16 / groups {
		for s := range supers {
			g0, g1 := s*run, min((s+1)*run, groups)
			for n := range 16 {
				at := func(g int) int { return (b*groups+g)*16 + n }
				unit := common(func(yield func(float32)) {
					for g := g0; g < g1; g++ {
						yield(v[at(g)])
					}
				})
				if !multiples(v, x.Data, unit, at, g0, g1) {
					if unit = -unit; !multiples(v, x.Data, unit, at, g0, g1) {
						return x, false
					}
				}
				x.Super[(b*supers+s)*16+n] = unit
			}
		}
	}
	return x, true
}

// multiples stores the numbers as multiples of unit, if they are with every bit.
func multiples(v []float32, data []byte, unit float32, at func(int) int, g0, g1 int) bool {
	for g := g0; g < g1; g++ {
		q := 0.0
		if unit != 0 {
			q = float64(v[at(g)]) / float64(unit)
		}
		if q != math.Trunc(q) || q < -128 || q > 127 || math.Float32bits(float32(int8(q))*unit) != math.Float32bits(v[at(g)]) {
			return false
		}
		data[at(g)] = byte(int8(q))
	}
	return true
}

// common is the greatest number that all are multiples of, as far as a float32 can be, 0 if all are.
func common(each func(yield func(float32))) float32 {
	least := 1 << 10 // exponent of the last bit of any
	each(func(x float32) {
		if x != 0 {
			_, e := mantissa(x)
			least = min(least, e)
		}
	})
	var unit uint64
	each(func(x float32) {
		if m, e := mantissa(x); x != 0 {
			if e-least > 38 {
				unit = 1
				return
			}
			for m <<= e - least; m != 0; unit, m = m, unit%m {
			}
		}
	})
	return float32(math.Ldexp(float64(unit), least))
}

// mantissa is |x| as an odd integer and the exponent of its last bit.
func mantissa(x float32) (m uint64, exponent int) {
	b := math.Float32bits(x)
	m, exponent = uint64(b&(1<<23-1)), int(b>>23&255)
	if exponent > 0 {
		m |= 1 << 23
	} else {
		exponent = 1
	}
	if m == 0 {
		return 0, 0
	}
	z := bits.TrailingZeros64(m)
	return m >> z, exponent - 150 + z
}
