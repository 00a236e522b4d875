package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
)

// TestWinograd: the bits of patches and package linear on every instruction set: sizes that tiles do not fill, pads of every kind, tiles and blocks cut anywhere, ends of every kind.
func TestWinograd(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	reached := map[cpu.ISA]bool{}
	one := [3]int{1, 1, 1}
	work := map[cpu.ISA]*DirectWork{}
	for k, c := range [][6]int{ // lines, places, features, columns, pads
		{4, 4, 16, 16, 1, 1}, {7, 7, 32, 32, 1, 1}, {5, 9, 48, 17, 1, 0}, {8, 3, 64, 40, 0, 1}, {14, 14, 16, 70, 1, 1}, {13, 6, 80, 24, 2, 2}, {1, 1, 32, 48, 1, 1}, {28, 21, 32, 64, 1, 1}, {7, 9, 512, 16, 1, 1},
	} {
		s := Shape{In: [3]int{1, c[0], c[1]}, Out: [3]int{1, c[0] + 2*c[4] - 2, c[1] + 2*c[5] - 2}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, c[4], c[5]}, C: c[2], Groups: 1}
		n, images := c[3], 3
		rows, size := images*s.Places(), images*c[0]*c[1]*c[2]
		codes := make([]byte, size, size+3)
		for i := range codes {
			if codes[i] = byte(rng.Uint32()); k%2 > 0 {
				codes[i] = byte(255 * (rng.Uint32() & 1)) // the greatest sums
			}
		}
		const zero, scale = 77, 0.037
		w := linear.NewWeight(linear.I8, n, s.K(), 0)
		real := make([]float32, n*s.K())
		for i := range real {
			real[i] = float32(rng.NormFloat64())
			if k%3 > 0 {
				real[i] = float32(1 - 2*int(rng.Uint32()&1))
			}
		}
		for b := range w.Blocks() {
			quant.NewQuantizer(s.K(), quant.Options{}).Block(w, b, real[16*b*s.K():min(16*(b+1), n)*s.K()])
		}
		w.Bias = make([]float32, 16*w.Blocks())
		for i := range n {
			w.Bias[i] = float32(rng.NormFloat64())
		}
		restore := cpu.SetMax(cpu.AVX2) // the sums by another way
		want := patched(s, w, codes, nil, rows, scale, zero)
		restore()
		for isa := cpu.AVX2; isa <= cpu.Active(); isa++ {
			restore := cpu.SetMax(isa)
			d, err := NewDirect(s, w, scale, zero)
			if err != nil {
				t.Fatal(err)
			}
			if d == nil || !cpu.Has(isa) || d.Winograd() == nil {
				restore()
				continue
			}
			reached[isa] = true
			wino := d.Winograd()
			if work[isa] == nil {
				work[isa] = &DirectWork{}
			}
			for range 4 {
				tiles := wino.Tiles(images)
				t0 := rng.IntN(tiles)
				t1 := t0 + 1 + rng.IntN(tiles-t0)
				b0 := rng.IntN(d.Blocks())
				b1 := b0 + 1 + rng.IntN(d.Blocks()-b0)
				n0, n1 := d.Columns(b0, b1)
				name := fmt.Sprintf("case %d on %s, tiles %d to %d, blocks %d to %d", k, isa, t0, t1, b0, b1)
				ld := n1 - n0
				var v []float32
				var inside []bool
				for r := range rows {
					v = append(v, want[r*n+n0:r*n+n1]...)
					image, y, x := r/s.Places(), r/s.Out[2]%s.Out[1], r%s.Out[2]
					tile := (image*wino.down+y/4)*wino.across + x/4
					for range ld {
						inside = append(inside, tile >= t0 && tile < t1)
					}
				}
				add, addCodes := make([]float32, len(v)), make([]byte, len(v))
				for i := range add {
					add[i], addCodes[i] = float32(rng.NormFloat64()), byte(rng.Uint32())
				}
				run := func(e End) { wino.Codes(e, codes, t0, t1, b0, b1, work[isa]) }
				floats := func(name string, e End, want []float32) {
					t.Helper()
					checkSome(t, name, want, inside, float32(-12345), func(dst []float32) { e.Floats = dst; run(e) })
				}
				bytes := func(name string, e End, want []float32) {
					t.Helper()
					list := make([]byte, len(want))
					elem.Codes8(list, want, e.Inv, e.Zero, -float32(e.Zero), e.Hi)
					checkSome(t, name, list, inside, byte(0x5a), func(dst []byte) { e.Codes = dst; run(e) })
				}
				sum := make([]float32, len(v))
				all := End{Ld: ld, Lo: float32(math.Inf(-1)), Hi: float32(math.Inf(1))}
				floats(name, all, v)
				to := End{Ld: ld, Inv: 1 / float32(3), Zero: 9, Hi: 246}
				bytes(name+", codes", to, v)
				elem.Add(sum, v, add)
				if f, ok := elem.Unary("relu6"); ok {
					f(sum, sum)
				}
				e := all
				e.Add, e.Lo, e.Hi = add, 0, 6
				floats(name+", a sum, relu6", e, sum)
				elem.Decode8(add, addCodes, 100, 0.2)
				elem.Add(sum, v, add)
				e = to
				e.AddCodes, e.AddScale, e.AddZero = addCodes, 0.2, 100
				bytes(name+", codes of a sum", e, sum)
				if d.HasSiLU() {
					active, _ := elem.Unary("silu")
					active(sum, v)
					e = all
					e.SiLU = true
					floats(name+", SiLU", e, sum)
					e = to
					e.SiLU = true
					bytes(name+", codes of SiLU", e, sum)
				}
			}
			restore()
		}
	}
	if isa := cpu.Active(); isa >= cpu.AVX2 && !reached[min(isa, cpu.AVX512)] {
		t.Error("no kernel was reached")
	}
	if len(reached) == 0 {
		t.Skip("no kernels here")
	}
}

// checkSome holds that run sets what is inside to want and leaves the rest, and what lies around, as it is.
func checkSome[T byte | float32](t *testing.T, name string, want []T, inside []bool, guard T, run func(dst []T)) {
	t.Helper()
	const around = 70
	dst := make([]T, len(want)+2*around)
	fill(dst, guard)
	run(dst[around:][:len(want):len(want)])
	for i, v := range dst {
		exp := guard
		if j := i - around; j >= 0 && j < len(want) && inside[j] {
			exp = want[j]
		}
		if v != exp {
			t.Fatalf("%s: element %d of %d is %v, want %v", name, i-around, len(want), v, exp)
		}
	}
}

// TestWinogradLarge: weights whose sums could leave 26 bits have no such kernel, and those that just could not have.
func TestWinogradLarge(t *testing.T) {
	one := [3]int{1, 1, 1}
	for _, c := range []struct {
		features, each int
		ok             bool
	}{{64, 127, true}, {112, 127, true}, {128, 127, false}, {512, 28, true}, {512, 29, false}, {512, -29, false}} {
		s := Shape{In: [3]int{1, 4, 4}, Out: [3]int{1, 4, 4}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, 1, 1}, C: c.features, Groups: 1}
		w := linear.NewWeight(linear.I8, 16, s.K(), 0)
		for i := range w.Data {
			w.Data[i] = byte(int8(c.each))
		}
		d, err := NewDirect(s, w, 1, 0)
		if err != nil || d == nil || d.kernels.winograd == nil {
			t.Skip("no kernels here", err)
		}
		if got := d.Winograd() != nil; got != c.ok {
			t.Errorf("weights of %d on %d features: %v", c.each, c.features, got)
		}
	}
}
