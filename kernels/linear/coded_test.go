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
		for range 1 << bits {
			c.Table = append(c.Table, float32(rng.IntN(200)-100)/8)
		}
	case "zeros":
		c.Zeros = make([]byte, np*groups)
	default:
		c.Zero = 1 << (bits - 1)
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
			if v *= c.Scale.at(w, r/16, g, r%16); offset != 0 {
				v += c.Offset.at(w, r/16, g, r%16)
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
			for _, c := range []struct{ n, k, group int }{{16, 64, 32}, {21, 300, 32}, {40, 512, 16}, {33, 72, 72}, {17, 130, 65}, {32, 515, 128}, {16, 1024, 256}, {48, 40, 24}} {
				scale := NumberForm(1 + (bits+i+c.k)%5)
				offset := NumberForm((bits + i + c.n) % 6)
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

// Weights of format Codes multiply as the float32 they stand for, with fused steps in order of k, bit for bit on every instruction set.
func TestCoded(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
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
		const m = 9
		x := NewActs(AF32, m, w.K).Reset(m)
		for r := range m {
			x.Quantize(r, r+1, ktest.Mixed(rng, w.K, false), 0)
		}
		want := make([]float32, m*w.N)
		for r := range m {
			for n := range w.N {
				for k := range w.K {
					want[r*w.N+n] = num.FMA32(x.F32[r*x.Stride+k], values[n*w.K+k], want[r*w.N+n])
				}
			}
		}
		for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
			if !cpu.Has(isa) {
				continue
			}
			restore := cpu.SetMax(isa)
			for _, rows := range []int{1, 2, m} {
				x.Reset(rows)
				y, intact := ktest.Fenced(rows*w.N, 3)
				var s Scratch
				Linear(Sink{Y: y, Ld: w.N}, x, w, 0, w.Blocks(), &s)
				for i, v := range y {
					if math.Float32bits(v) != math.Float32bits(want[i]) {
						t.Fatalf("%v, %d rows: result %d is %v, want %v", isa, rows, i, v, want[i])
					}
				}
				if !intact() {
					t.Fatalf("%v, %d rows: writes beyond the results", isa, rows)
				}
			}
			x.Reset(m)
			restore()
		}
	})
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
		"table":          func(w *Weight) { w.Coded.Table = make([]float32, 16) },
	} {
		w := good()
		if break_(w); w.Check() == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	for name, break_ := range map[string]func(w *Weight){
		"NaN scale":       func(w *Weight) { binary.LittleEndian.PutUint16(w.Coded.Scale.Data, 0x7e00) },
		"infinite offset": func(w *Weight) { binary.LittleEndian.PutUint32(w.Coded.Offset.Data[64:], 0x7f800000) },
		"padding row":     func(w *Weight) { w.Data[w.codedBytes()+1] = 1 },
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
