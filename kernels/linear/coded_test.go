package linear

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/ktest"
)

// codedWeight is a random weight of format Codes, and its values [N][K].
func codedWeight(rng *rand.Rand, n, k, group, bits int, variant string, scale, offset NumberForm) (*Weight, []float32) {
	c := &Coded{Bits: bits, Scale: Numbers{Form: scale}, Offset: Numbers{Form: offset}}
	np, groups := num.Pad(n, 16), (k+group-1)/group
	switch variant {
	case "table":
		unit := float32(1)
		if n%2 == 1 {
			unit = 8
		}
		for range 1 << bits {
			c.Table = append(c.Table, float32(rng.IntN(200)-100)/unit)
		}
		if bits == 8 && n%2 == 0 {
			for q := range c.Table {
				c.Table[q] = E4M3(byte(q))
			}
		}
	case "zeros":
		c.Zeros = make([]byte, np*groups)
	default:
		c.Zero = 1 << (bits - 1)
	}
	if variant != "table" && offset == 0 {
		c.Factor = 1.0 / 127
	}
	if variant == "order" {
		for _, j := range rng.Perm(k) {
			c.Order = append(c.Order, int32(j))
		}
	}
	s, err := c.Sizes(n, k, group)
	if err != nil {
		panic(err)
	}
	w := &Weight{Format: Codes, N: n, K: k, Group: group, Data: make([]byte, s.Data), Coded: c}
	fill := func(x *Numbers, size, super int) {
		x.Data, x.Super = make([]byte, size), make([]float32, super)
		for i := range x.Super {
			x.Super[i] = float32(rng.NormFloat64())
		}
		for g := range np / 16 * groups {
			for i := range 16 {
				if g/groups*16+i >= n {
					continue
				}
				at := g*16 + i
				switch v := float32(rng.NormFloat64()); x.Form {
				case NumF32:
					binary.LittleEndian.PutUint32(x.Data[4*at:], math.Float32bits(v))
				case NumF16:
					binary.LittleEndian.PutUint16(x.Data[2*at:], num.F16(v))
				case NumBF16:
					binary.LittleEndian.PutUint16(x.Data[2*at:], num.BF16(v))
				case NumE8M0:
					x.Data[at] = byte(110 + rng.IntN(20))
					if rng.IntN(10) == 0 {
						x.Data[at] = 0
					}
				case NumProduct:
					x.Data[at] = byte(rng.IntN(256))
				}
			}
		}
	}
	fill(&c.Scale, s.Scale, s.ScaleSuper)
	fill(&c.Offset, s.Offset, s.OffsetSuper)
	for i := range c.Zeros {
		if i/16/groups*16+i%16 < n {
			c.Zeros[i] = byte(rng.IntN(1 << bits))
		}
	}
	values := make([]float32, n*k)
	codes := make([]uint8, k)
	for r := range n {
		for j := range codes {
			codes[j] = uint8(rng.IntN(1 << bits))
		}
		w.PutCodes(r, codes)
		for j, q := range codes {
			g := j / group
			v := float32(int(q) - c.Zero)
			if c.Table != nil {
				v = c.Table[q]
			} else if c.Zeros != nil {
				v = float32(q) - float32(c.Zeros[(r/16*groups+g)*16+r%16])
			}
			switch v *= c.Scale.at(w, r/16, g, r%16); {
			case offset != 0:
				v += c.Offset.at(w, r/16, g, r%16)
			case c.Factor != 0:
				v *= c.Factor
			}
			if c.Order != nil {
				values[r*k+int(c.Order[j])] = v
			} else {
				values[r*k+j] = v
			}
		}
	}
	return w, values
}

// eachCoded runs f on weights of every kind.
func eachCoded(t *testing.T, f func(t *testing.T, w *Weight, values []float32)) {
	rng := rand.New(rand.NewPCG(5, 6))
	for bits := 2; bits <= 8; bits++ {
		for i, variant := range []string{"zero", "table", "zeros", "order"} {
			for _, c := range []struct{ n, k, group int }{{16, 64, 32}, {21, 300, 32}, {136, 512, 16}, {33, 72, 72}, {17, 130, 65}, {32, 515, 128}, {16, 1024, 256}, {48, 40, 24}, {16, 48, 16}, {33, 480, 128}, {145, 96, 32}, {176, 480, 128}, {67, 72, 72}, {64, 1000, 1000}} {
				scale := NumberForm(1 + (bits+i+c.k)%5)
				offset := NumberForm((bits + i + c.n) % 6)
				if c.n >= 64 || variant == "table" { // four blocks
					offset = 0
				}
				if 256%c.group != 0 {
					if scale == NumProduct {
						scale = NumF16
					}
					if offset == NumProduct {
						offset = NumBF16
					}
				}
				w, values := codedWeight(rng, c.n, c.k, c.group, bits, variant, scale, offset)
				t.Run(fmt.Sprintf("%d bits, %s, %v, scale %v, offset %v", bits, variant, c, scale, offset), func(t *testing.T) { f(t, w, values) })
			}
		}
	}
}

// codedSum is numerics N10.2 place by place: the result of row n for inputs x, which are rounded already.
func codedSum(w *Weight, values []float32, x []float32, n int) float32 {
	c := w.Coded
	column := func(j int) int {
		if c.Order != nil {
			return int(c.Order[j])
		}
		return j
	}
	least := w.Coded.ways().zero
	if !w.Coded.ways().whole {
		var sum float32
		for g := range w.GroupCount() {
			var f float32
			for j := g * w.Group; j < min((g+1)*w.Group, w.K); j++ {
				f = num.FMA32(x[column(j)], c.Table[c.code(w.Data[n/16*w.codedBytes()+n%16*4:], j)], f)
			}
			sum = num.FMA32(c.Scale.at(w, n/16, g, n%16), f, sum)
		}
		return sum
	}
	planes, q, scale := c.Round.digits(), make([]int64, w.K), float32(0)
	if planes < 3 {
		back := make([]float32, w.K)
		scale = c.Round.codes(back, x)
		for k, v := range back {
			q[k] = int64(v)
		}
	} else {
		var top float32
		for _, v := range x {
			top = max(top, float32(math.Abs(float64(v))))
		}
		inv := float32(127<<16) / top
		scale = top / (127 << 16)
		for k, v := range x {
			q[k] = int64(math.RoundToEven(float64(v * inv)))
		}
	}
	var sum float32
	for g := range w.GroupCount() {
		var digits [3]int64
		var all int64
		for j := g * w.Group; j < min((g+1)*w.Group, w.K); j++ {
			code := int64(c.code(w.Data[n/16*w.codedBytes()+n%16*4:], j))
			if c.Table != nil {
				code = int64(c.Table[code]) + int64(least)
			}
			d := q[column(j)]
			all += d
			for p := range digits {
				low := int64(int8(d))
				digits[p] += code * low
				d = (d - low) >> 8
			}
			if d != 0 {
				panic("more than three digits")
			}
		}
		f := float32(digits[0])
		if planes > 1 {
			f = num.FMA32(float32(digits[1]), 256, f)
		}
		if planes > 2 {
			f = num.FMA32(float32(digits[2]), 65536, f)
		}
		zero := float32(least)
		if c.Zeros != nil {
			zero = float32(c.Zeros[(n/16*w.GroupCount()+g)*16+n%16])
		}
		f = num.FMA32(-zero, float32(all), f)
		sum = num.FMA32(c.Scale.at(w, n/16, g, n%16), f, sum)
		if c.Offset.Form != 0 {
			sum = num.FMA32(c.Offset.at(w, n/16, g, n%16), float32(all), sum)
		}
	}
	if c.Factor != 0 {
		scale *= c.Factor
	}
	return sum * scale
}

// Layers of format Codes give the bits of N10.2 on every instruction set, and are near the float64 product of weights and inputs.
func TestCoded(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	kinds, long := 0, codedLong
	defer func() { codedLong = long }()
	eachCoded(t, func(t *testing.T, w *Weight, values []float32) {
		if err := w.CheckData(2); err != nil {
			t.Fatal(err)
		}
		row := make([]float32, w.K)
		for r := range w.N {
			EmbedRow(row, w, r)
			for k, v := range row {
				if math.Float32bits(v) != math.Float32bits(values[r*w.K+k]) {
					t.Fatalf("weight %d of row %d is %v, want %v", k, r, v, values[r*w.K+k])
				}
			}
		}
		if kinds%3 == 0 {
			w.Bias = make([]float32, w.Blocks()*16)
			for n := range w.N {
				w.Bias[n] = float32(rng.NormFloat64())
			}
		}
		w.Coded.Round = Rounding{Kind: RoundKind(kinds % len(roundNames))}
		if codedLong = 0; kinds%2 == 0 {
			codedLong = long
		}
		if kinds++; w.Coded.Round.Kind.Static() {
			w.Coded.Round.Scale = 0.03
		}
		if w.Coded.Round.Kind == RoundInt8Static {
			w.Coded.Round.Zero = int32(kinds % 5)
		}
		const m, old = 9, 0.375
		inputs := make([]float32, m*w.K)
		want := make([]float32, m*w.N)
		for r := range m {
			in := inputs[r*w.K:][:w.K]
			copy(in, ktest.Mixed(rng, w.K, false))
			w.Coded.Round.Row(row, in)
			given := row
			if w.Coded.Round.digits() < 3 && w.Coded.ways().whole {
				given = in
			}
			for n := range w.N {
				y := codedSum(w, values, given, n)
				if want[r*w.N+n] = y; w.Bias != nil {
					want[r*w.N+n] = old + (y + w.Bias[n])
				}
				var sum, size float64
				for k, v := range row {
					p := float64(v) * float64(values[n*w.K+k])
					sum, size = sum+p, size+math.Abs(p)
				}
				// Codes less their zero, and offsets, cancel: 255 times the least scale is the worst.
				if d := math.Abs(float64(y) - sum); d > 1e-4*size+1e-30 {
					t.Fatalf("row %d, column %d is %v, in float64 %v, products add up to %v", r, n, y, sum, size)
				}
			}
		}
		for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVXVNNI, cpu.AVX512} {
			if !cpu.Has(isa) {
				continue
			}
			restore := cpu.SetMax(isa)
			x := NewActsFor(w.Coded.Form(), w.Rows(), m, w.K)
			for _, rows := range []int{1, 2, m} {
				x.Reset(rows).Quantize(0, rows, inputs, w.K)
				y, intact := ktest.Fenced(rows*w.N, 3)
				var s Scratch
				to := Sink{Y: y, Ld: w.N}
				if w.Bias != nil { // and added to what is there
					for i := range y {
						y[i] = old
					}
					to.Add = y
				}
				Linear(to, x, w, 0, w.Blocks(), &s)
				for i, v := range y {
					if math.Float32bits(v) != math.Float32bits(want[i]) && v != want[i] {
						t.Fatalf("%v, %d rows: result %d is %v, want %v", isa, rows, i, v, want[i])
					}
				}
				if !intact() {
					t.Fatalf("%v, %d rows: writes beyond the results", isa, rows)
				}
			}
			restore()
		}
	})
}

// The greatest sums of two digits fit where kernels add them as integers.
func TestCodedExtremes(t *testing.T) {
	const k, rows, unit = 256, 5, 1.0 / 1024
	w, values := codedWeight(rand.New(rand.NewPCG(1, 1)), 16, k, k, 8, "zero", NumF32, 0)
	codes, in := make([]uint8, k), make([]float32, k*rows)
	for j := range codes {
		codes[j] = 255
	}
	for n := range w.N {
		w.PutCodes(n, codes)
	}
	for i := range in {
		in[i] = -(128 + 128*256) * unit
		if i%k == 0 {
			in[i] = 127 * 65536 * unit // so that a unit is one
		}
	}
	for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVXVNNI, cpu.AVX512} {
		if !cpu.Has(isa) {
			continue
		}
		restore := cpu.SetMax(isa)
		for _, m := range []int{1, rows} {
			x := NewActsFor(w.Coded.Form(), w.Rows(), m, k).Reset(m)
			x.Quantize(0, m, in, k)
			y := make([]float32, m*w.N)
			var s Scratch
			Linear(Sink{Y: y, Ld: w.N}, x, w, 0, w.Blocks(), &s)
			for i, v := range y {
				if want := codedSum(w, values, in[:k], i%w.N); v != want {
					t.Fatalf("%v, %d rows: result %d is %v, want %v", isa, m, i, v, want)
				}
			}
		}
		restore()
	}
}

// What Sizes, Check and CheckData refuse.
func TestCodedChecks(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	good := func() *Weight {
		w, _ := codedWeight(rng, 17, 40, 16, 4, "zero", NumF16, NumF32)
		return w
	}
	for name, break_ := range map[string]func(w *Weight){
		"no description": func(w *Weight) { w.Coded = nil },
		"bits":           func(w *Weight) { w.Coded.Bits = 9 },
		"group":          func(w *Weight) { w.Group = 41 },
		"zero":           func(w *Weight) { w.Coded.Zero = 16 },
		"data":           func(w *Weight) { w.Data = w.Data[1:] },
		"scales":         func(w *Weight) { w.Coded.Scale.Data = w.Coded.Scale.Data[2:] },
		"form":           func(w *Weight) { w.Coded.Offset.Form = 9 },
		"no scales":      func(w *Weight) { w.Coded.Scale.Form = 0 },
		"order":          func(w *Weight) { w.Coded.Order = make([]int32, 3) },
		"factor":         func(w *Weight) { w.Coded.Factor = 2 },
		"and offsets":    func(w *Weight) { w.Coded.Factor = 0.5 },
		"table":          func(w *Weight) { w.Coded.Table = make([]float32, 16) },
		"with offsets":   func(w *Weight) { w.Coded.Table, w.Coded.Zero = make([]float32, 16), 0 },
	} {
		w := good()
		if break_(w); w.Check() == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	for name, break_ := range map[string]func(w *Weight){
		"NaN scale":       func(w *Weight) { binary.LittleEndian.PutUint16(w.Coded.Scale.Data, 0x7e00) },
		"infinite offset": func(w *Weight) { binary.LittleEndian.PutUint32(w.Coded.Offset.Data[64:], 0x7f800000) },
		"padding row":     func(w *Weight) { w.Data[w.codedBytes()+4] = 1 },
		"padding scale":   func(w *Weight) { w.Coded.Scale.Data[len(w.Coded.Scale.Data)-2] = 1 },
		"order":           func(w *Weight) { w.Coded.Order = make([]int32, 40) },
	} {
		w := good()
		if err := w.CheckData(1); err != nil {
			t.Fatal(err)
		}
		if break_(w); w.CheckData(1) == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}
