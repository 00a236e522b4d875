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

// directCase is a convolution of C features to N.
type directCase struct {
	Shape
	n int
}

func directCases() (list []directCase) {
	one := [3]int{1, 1, 1}
	add := func(n int, s Shape) {
		list = append(list, directCase{s, n})
	}
	for _, c := range []int{1, 3, 4, 7, 16, 20, 33, 64} {
		for _, n := range []int{1, 16, 24, 33, 48, 64, 80, 90} {
			add(n, Shape{In: [3]int{1, 3, 5}, Out: [3]int{1, 3, 5}, Kernel: one, Stride: one, Dilation: one, C: c, Groups: 1})
		}
		add(24, Shape{In: [3]int{1, 7, 9}, Out: [3]int{1, 4, 5}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Dilation: one, Before: [3]int{0, 1, 1}, C: c, Groups: 1})
		add(17, Shape{In: [3]int{1, 6, 3}, Out: [3]int{1, 6, 3}, Kernel: [3]int{1, 5, 7}, Stride: one, Dilation: one, Before: [3]int{0, 2, 3}, C: c, Groups: 1})
		add(70, Shape{In: [3]int{1, 8, 9}, Out: [3]int{1, 4, 5}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: [3]int{1, 2, 2}, C: c, Groups: 1})
		add(5, Shape{In: [3]int{3, 4, 5}, Out: [3]int{3, 2, 4}, Kernel: [3]int{2, 3, 2}, Stride: [3]int{1, 2, 1}, Dilation: one, Before: [3]int{0, 1, 0}, C: c, Groups: 1})
		add(6, Shape{In: [3]int{1, 3, 4}, Out: [3]int{1, 6, 8}, Kernel: [3]int{1, 2, 3}, Stride: [3]int{1, 2, 2}, Dilation: one, Before: [3]int{0, 0, 1}, C: c, Groups: 1, Transposed: true})
	}
	for _, g := range [][3]int{{2, 8, 32}, {4, 8, 32}, {6, 6, 48}, {8, 64, 64}, {3, 9, 6}, {2, 6, 80}, {5, 10, 80}, {5, 40, 40}, {3, 24, 72}, {13, 13, 26}, {9, 36, 36}, {4, 12, 16}, {4, 24, 32}, {17, 17, 17}} {
		add(g[2], Shape{In: [3]int{1, 5, 6}, Out: [3]int{1, 5, 6}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, 1, 1}, C: g[0] * max(g[1]/g[0], 1), Groups: g[0]})
	}
	return list
}

// TestDirect: direct convolutions of codes and of float32 against patches, package linear and package elem, whose bits they have on every instruction set: rows and blocks cut
// anywhere, with and without what is added, stored as codes and as float32, no byte beyond the result.
func TestDirect(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	reached, silu, halves := map[cpu.ISA]bool{}, false, false
	for k, s := range directCases() {
		n, rows := s.n, 2*s.Places()
		size := 2 * s.In[0] * s.In[1] * s.In[2] * s.C
		codes, floats := make([]byte, size, size+3), make([]float32, size)
		for i := range codes {
			codes[i], floats[i] = byte(rng.Uint32()), float32(rng.NormFloat64())
		}
		const zero, scale = 77, 0.037
		w8, w32 := linear.NewWeight(linear.I8, n, s.K(), 0), linear.NewWeight(linear.F32, n, s.K(), 0)
		real := make([]float32, n*s.K())
		for i := range real {
			real[i] = float32(rng.NormFloat64())
		}
		w32.PutFloatRows(0, real, n)
		for b := range w8.Blocks() {
			quant.NewQuantizer(s.K(), quant.Options{}).Block(w8, b, real[16*b*s.K():min(16*(b+1), n)*s.K()])
		}
		if k%3 > 0 {
			w8.Bias = make([]float32, 16*w8.Blocks())
			for i := range n {
				w8.Bias[i] = float32(rng.NormFloat64())
			}
			w32.Bias = w8.Bias
		}
		for _, w := range []*linear.Weight{w8, w32} {
			restore := cpu.SetMax(cpu.AVX2) // the sums by another way
			want := patched(s.Shape, w, codes, floats, rows, scale, zero)
			restore()
			for isa := cpu.AVX2; isa <= cpu.Active(); isa++ {
				if !cpu.Has(isa) {
					continue
				}
				restore := cpu.SetMax(isa)
				d, err := NewDirect(s.Shape, w, scale, zero)
				if err != nil {
					t.Fatal(err)
				}
				if d == nil {
					restore()
					continue
				}
				reached[isa], halves = true, halves || d.half > 0
				for range 4 {
					r0 := rng.IntN(rows)
					r1 := r0 + 1 + rng.IntN(rows-r0)
					part := d.Blocks() / d.Parts()
					b0 := rng.IntN(d.Parts()) * part
					b1 := b0 + part*(1+rng.IntN(d.Parts()-b0/part))
					if d.Parts() == 1 {
						b0 = rng.IntN(part)
						b1 = b0 + 1 + rng.IntN(part-b0)
					}
					n0, n1 := d.Columns(b0, b1)
					ld := n1 - n0
					var v []float32
					for r := r0; r < r1; r++ {
						v = append(v, want[r*n+n0:r*n+n1]...)
					}
					run := func(e End) {
						if w == w8 {
							d.Codes(e, codes, 0, r0, r1, b0, b1, &DirectWork{})
						} else {
							d.Floats(e, floats, 0, r0, r1, b0, b1, &DirectWork{})
						}
					}
					name := fmt.Sprintf("case %d, %s on %s, rows %d to %d, blocks %d to %d", k, w.Format, isa, r0, r1, b0, b1)
					e := End{Ld: ld, Lo: float32(math.Inf(-1)), Hi: float32(math.Inf(1))}
					check(t, name, v, func(dst []float32) { e.Floats = dst; run(e) })
					if w == w32 && s.Pointwise() {
						check(t, name+", of rows", v, func(dst []float32) {
							e.Floats = dst
							d.Floats(e, floats[r0*s.C:r1*s.C], r0, r0, r1, b0, b1, &DirectWork{})
						})
					}
					add, addCodes := make([]float32, len(v)), make([]byte, len(v))
					for i := range add {
						add[i], addCodes[i] = float32(rng.NormFloat64()), byte(rng.Uint32())
					}
					sum := make([]float32, len(v))
					elem.Add(sum, v, add)
					six := sum
					if f, ok := elem.Unary("relu6"); ok {
						f(six, six)
					}
					e.Add, e.Lo, e.Hi = add, 0, 6
					check(t, name+", a sum, relu6", six, func(dst []float32) { e.Floats = dst; run(e) })
					e = End{Ld: ld, Inv: 1 / float32(0.3), Zero: 9, Hi: 246}
					list := make([]byte, len(v))
					elem.Codes8(list, v, e.Inv, e.Zero, -9, e.Hi)
					check(t, name+", codes", list, func(dst []byte) { e.Codes = dst; run(e) })
					elem.Decode8(add, addCodes, 100, 0.2)
					if d.HasSiLU() {
						silu = true
						active, _ := elem.Unary("silu")
						active(sum, v)
						check(t, name+", SiLU", sum, func(dst []float32) {
							run(End{Ld: ld, SiLU: true, Floats: dst, Lo: float32(math.Inf(-1)), Hi: float32(math.Inf(1))})
						})
						elem.Add(sum, sum, add)
						elem.Codes8(list, sum, e.Inv, e.Zero, -9, e.Hi)
						check(t, name+", codes of SiLU and a sum", list, func(dst []byte) {
							run(End{Ld: ld, SiLU: true, Codes: dst, Inv: e.Inv, Zero: e.Zero, Hi: e.Hi, AddCodes: addCodes, AddScale: 0.2, AddZero: 100})
						})
					}
					elem.Add(v, v, add)
					elem.Codes8(list, v, e.Inv, e.Zero, -9, e.Hi)
					e.AddCodes, e.AddScale, e.AddZero = addCodes, 0.2, 100
					check(t, name+", codes of a sum", list, func(dst []byte) { e.Codes = dst; run(e) })
				}
				restore()
			}
		}
	}
	if isa := cpu.Active(); isa >= cpu.AVX2 && !reached[min(isa, cpu.AVX512)] || isa >= cpu.AVX512 && !silu || isa >= cpu.AVX2 && !halves {
		t.Error("no direct kernel was reached, or none with SiLU, or of halves")
	}
	if len(reached) == 0 {
		t.Skip("no direct kernels here")
	}
}

// patched is a convolution by patches.
func patched(s Shape, w *linear.Weight, codes []byte, floats []float32, rows int, scale float32, zero int32) []float32 {
	form := linear.A8
	if w.Format == linear.F32 {
		form = linear.AF32
	}
	a := linear.NewActs(form, rows, s.K()).Reset(rows)
	y := make([]float32, rows*w.N)
	each, k := w.N/s.Groups, s.K()
	tile := make([]float32, rows*16*w.Blocks())
	for g := range s.Groups {
		for r := range rows {
			if form == linear.A8 {
				Patch(&s, a.Hi[r*a.Stride:][:k], codes, r, g, byte(zero))
			} else {
				Patch(&s, a.F32[r*a.Stride:][:k], floats, r, g, 0)
			}
		}
		if form == linear.A8 {
			a.SetStatic(scale, zero)
		}
		linear.Linear(linear.Sink{Y: tile, Ld: 16 * w.Blocks()}, a, w, 0, w.Blocks(), &linear.Scratch{})
		for r := range rows {
			copy(y[r*w.N+g*each:][:each], tile[r*16*w.Blocks()+g*each:])
		}
	}
	return y
}

// TestDirectBounded: an end whose sums might leave the integers is refused.
func TestDirectBounded(t *testing.T) {
	one := [3]int{1, 1, 1}
	s := Shape{In: one, Out: [3]int{1, 1, 2}, Kernel: one, Stride: one, Dilation: one, C: 16, Groups: 1}
	s.In = s.Out
	for _, c := range []struct {
		bias, inv, add float32
		ok             bool
	}{{1, 1, 1, true}, {1e9, 1, 0, true}, {1.1e9, 1, 0, false}, {-1.1e9, 1, 0, false}, {1e9, 2, 0, false}, {0, 1, 1e7, false}, {float32(math.NaN()), 1, 0, false}, {0, float32(math.Inf(1)), 0, false}} {
		w := linear.NewWeight(linear.I8, 16, s.K(), 0)
		w.Bias = make([]float32, 16)
		w.Bias[7] = c.bias
		d, err := NewDirect(s, w, 0.1, 100)
		if err != nil || d == nil {
			t.Skip("no direct kernels here", err)
		}
		e := End{Codes: make([]byte, 32), Ld: 16, Inv: c.inv, Hi: 255, AddScale: c.add}
		func() {
			defer func() {
				if refused := recover() != nil; refused == c.ok {
					t.Errorf("bias %g, inverse %g, a sum of %g: refused %v", c.bias, c.inv, c.add, refused)
				}
			}()
			d.Codes(e, make([]byte, 32, 40), 0, 0, 2, 0, 1, &DirectWork{})
		}()
		if d.Bounded(e) != c.ok {
			t.Errorf("bias %g, inverse %g, a sum of %g: bounded %v", c.bias, c.inv, c.add, !c.ok)
		}
	}
}
