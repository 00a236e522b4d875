package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
)

// shapes are convolutions and pools of one feature each, odd in every way.
func shapes(c int) []Shape {
	one := [3]int{1, 1, 1}
	return []Shape{
		{In: [3]int{1, 7, 9}, Out: [3]int{1, 7, 9}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, 1, 1}, C: c, Groups: c},
		{In: [3]int{1, 9, 13}, Out: [3]int{1, 5, 7}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Dilation: one, Before: [3]int{0, 1, 1}, C: c, Groups: c},
		{In: [3]int{1, 9, 11}, Out: [3]int{1, 5, 6}, Kernel: [3]int{1, 5, 5}, Stride: [3]int{1, 2, 2}, Dilation: one, Before: [3]int{0, 2, 2}, C: c, Groups: c},
		{In: [3]int{1, 6, 7}, Out: [3]int{1, 6, 7}, Kernel: [3]int{1, 5, 5}, Stride: one, Dilation: one, Before: [3]int{0, 2, 2}, C: c, Groups: c},
		{In: [3]int{1, 2, 1}, Out: [3]int{1, 2, 1}, Kernel: [3]int{1, 5, 5}, Stride: one, Dilation: one, Before: [3]int{0, 2, 2}, C: c, Groups: c},
		{In: [3]int{1, 3, 23}, Out: [3]int{1, 3, 23}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, 1, 1}, C: c, Groups: c},
		{In: [3]int{2, 7, 12}, Out: [3]int{2, 3, 4}, Kernel: [3]int{1, 5, 5}, Stride: [3]int{1, 1, 2}, Dilation: one, C: c, Groups: c},
		{In: [3]int{1, 5, 2}, Out: [3]int{1, 5, 2}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, 1, 1}, C: c, Groups: c},
		{In: [3]int{1, 9, 8}, Out: [3]int{1, 9, 6}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: [3]int{1, 2, 1}, Before: [3]int{0, 2, 0}, C: c, Groups: c},
		{In: [3]int{1, 8, 10}, Out: [3]int{1, 4, 6}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: [3]int{1, 2, 2}, C: c, Groups: c},
		{In: [3]int{3, 4, 5}, Out: [3]int{3, 2, 4}, Kernel: [3]int{2, 3, 2}, Stride: [3]int{1, 2, 1}, Dilation: one, Before: [3]int{0, 1, 0}, C: c, Groups: c},
		{In: [3]int{1, 1, 6}, Out: [3]int{1, 1, 6}, Kernel: [3]int{1, 1, 7}, Stride: one, Dilation: one, Before: [3]int{0, 0, 3}, C: c, Groups: c},
		{In: [3]int{1, 3, 4}, Out: [3]int{1, 6, 8}, Kernel: [3]int{1, 2, 3}, Stride: [3]int{1, 2, 2}, Dilation: one, Before: [3]int{0, 0, 1}, C: c, Groups: c, Transposed: true},
	}
}

// TestWindows: depthwise convolutions and greatest values against plain loops over all elements, the same bits on every instruction set, any cut
// of the rows, no byte beyond the result; codes are sums of (x - zero) * w with int8's least weight among them.
func TestWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ended := false
	defer func() {
		if cpu.Active() >= cpu.AVX2 && !ended && !t.Failed() {
			t.Error("no depthwise kernel ended in codes")
		}
	}()
	for _, c := range []int{1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100, 130} {
		for k, s := range shapes(c) {
			for m := 1; m <= 2; m++ {
				n := c * m
				images := 2
				codes, floats := make([]byte, images*s.In[0]*s.In[1]*s.In[2]*c), make([]float32, images*s.In[0]*s.In[1]*s.In[2]*c)
				for i := range codes {
					codes[i], floats[i] = byte(rng.Uint32()), float32(rng.NormFloat64())
				}
				if k == 0 && m == 1 {
					floats[rng.IntN(len(floats))] = float32(math.NaN())
				}
				w8, w32 := linear.NewWeight(linear.I8, n, s.Taps(), 0), linear.NewWeight(linear.F32, n, s.Taps(), 0)
				ints, reals := make([]int8, n*s.Taps()), make([]float32, n*s.Taps())
				for i := range ints {
					ints[i], reals[i] = int8(rng.IntN(256)-128), float32(rng.NormFloat64())
				}
				if c == 64 { // the greatest sums
					for i := range codes {
						codes[i] = 255
					}
					for i := range ints {
						if v := i / s.Taps() % 4; v < 3 {
							ints[i] = []int8{-128, 127, 15}[v]
						}
					}
				}
				w8.Bias = make([]float32, n)
				for i := range n {
					w8.Bias[i], w8.Scale[i] = float32(rng.NormFloat64()), rng.Float32()+0.1
				}
				for b := range w8.Blocks() {
					var rows []float32
					for i := 16 * b * s.Taps(); i < min(16*(b+1), n)*s.Taps(); i++ {
						rows = append(rows, float32(ints[i])*w8.Scale[i/s.Taps()])
					}
					quant.NewQuantizer(s.Taps(), quant.Options{Scaled: true}).Block(w8, b, rows)
				}
				w32.PutFloatRows(0, reals, n)
				w32.Bias = w8.Bias
				const zero, scale = 77, 0.037
				rows := images * s.Places()
				wantI, wantF, wantB, wantM := make([]float32, rows*n), make([]float32, rows*n), make([]byte, rows*c), make([]float32, rows*c)
				for r := range rows {
					image, p := r/s.Places(), r%s.Places()
					for i := range n {
						var sum int32
						var f float32
						top, most := byte(0), float32(math.Inf(-1))
						for tap := range s.Taps() {
							at := image
							inside := true
							for d, o := range []int{p / s.Out[2] / s.Out[1], p / s.Out[2] % s.Out[1], p % s.Out[2]} {
								kt := []int{tap / s.Kernel[2] / s.Kernel[1], tap / s.Kernel[2] % s.Kernel[1], tap % s.Kernel[2]}[d]
								e := s.element(d, o, kt)
								inside = inside && e >= 0
								at = at*s.In[d] + e
							}
							if !inside {
								continue
							}
							at = at*c + i/m
							sum += (int32(codes[at]) - zero) * int32(ints[i*s.Taps()+tap])
							f += float32(floats[at] * reals[i*s.Taps()+tap])
							top, most = max(top, codes[at]), max(most, floats[at])
						}
						wantI[r*n+i] = float32(float32(float32(sum)*scale)*w8.Scale[i]) + w8.Bias[i]
						wantF[r*n+i] = f + w32.Bias[i]
						wantB[r*c+i/m], wantM[r*c+i/m] = top, most
					}
				}
				for isa := cpu.Generic; isa <= cpu.Active(); isa++ {
					if !cpu.Has(isa) {
						continue
					}
					restore := cpu.SetMax(isa)
					name := fmt.Sprintf("%s: shape %d of %d features, %d each", isa, k, c, m)
					dI, err := NewDepthwise(s, w8, scale, zero)
					if err != nil {
						t.Fatal(err)
					}
					dF, err := NewDepthwise(s, w32, 0, 0)
					if err != nil {
						t.Fatal(err)
					}
					var work Taps
					r0 := rng.IntN(rows)
					r1 := r0 + 1 + rng.IntN(rows-r0)
					check(t, name+": ints", wantI[r0*n:r1*n], func(dst []float32) { dI.Codes(dst, n, codes, 0, r0, r1, &work) })
					if dI.HasEnd() {
						e := End{Ld: n, Inv: 1 / float32(0.3), Zero: 9, Hi: 200}
						want := make([]byte, (r1-r0)*n)
						elem.Codes8(want, wantI[r0*n:r1*n], e.Inv, e.Zero, -9, e.Hi)
						check(t, name+": codes", want, func(dst []byte) { e.Codes = dst; dI.End(e, codes, 0, r0, r1, &work) })
						ended = true
					}
					e := End{Ld: n, Lo: float32(math.Inf(-1)), Hi: float32(math.Inf(1))}
					check(t, name+": floats", wantF[r0*n:r1*n], func(dst []float32) { e.Floats = dst; dF.Floats(e, floats, 0, r0, r1, &work) })
					bound, _ := elem.Unary("relu6")
					six := make([]float32, (r1-r0)*n)
					bound(six, wantF[r0*n:r1*n])
					e.Lo, e.Hi = 0, 6
					check(t, name+": relu6", six, func(dst []float32) { e.Floats = dst; dF.Floats(e, floats, 0, r0, r1, &work) })
					if p := (Pool{Shape: s, Max: true}); m == 1 && !s.Transposed {
						check(t, name+": greatest codes", wantB[r0*c:r1*c], func(dst []byte) { p.MaxCodes(dst, codes, r0, r1, &work) })
						check(t, name+": greatest", wantM[r0*c:r1*c], func(dst []float32) { p.Floats(dst, floats, r0, r1, &work) })
					}
					restore()
				}
			}
		}
	}
}

// check runs f on a slice between guards and compares bits.
func check[T byte | float32](t *testing.T, what string, want []T, f func(dst []T)) {
	t.Helper()
	const guard = 70
	all := make([]T, len(want)+2*guard)
	for i := range all {
		all[i] = T(i%99 + 1)
	}
	before := slices.Clone(all)
	f(all[guard : guard+len(want)])
	for i, v := range all {
		w := before[i]
		if i >= guard && i < guard+len(want) {
			w = want[i-guard]
		}
		if v != w && !(v != v && w != w) {
			t.Fatalf("%s: place %d of %d is %v, want %v", what, i-guard, len(want), v, w)
		}
	}
}

// TestMean: the mean of codes and of float32 on every instruction set, of even parts and of windows over the edge, of some of the features and of all.
func TestMean(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []int{1, 8, 13, 16, 40, 67} {
		one := [3]int{1, 1, 1}
		for _, p := range []Pool{
			{Shape: Shape{In: [3]int{1, 7, 5}, Out: [3]int{1, 3, 2}, C: c}, Adaptive: true},
			{Shape: Shape{In: [3]int{1, 7, 5}, Out: [3]int{1, 7, 5}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, 1, 1}, C: c}},
		} {
			x, floats := make([]byte, 35*c), make([]float32, 35*c)
			for i := range x {
				x[i], floats[i] = byte(rng.Uint32()), float32(rng.NormFloat64())
			}
			for r := range p.Places() {
				want, means := make([]float32, c), make([]float32, c)
				for i := range want {
					wide, m := 0.0, 0
					each := func(f func(at int)) {
						p.rows(r, func(at, step, count int) {
							for j := range count {
								f(at + j*step)
							}
						})
					}
					each(func(at int) { wide += float64(floats[at*c+i]); m++ })
					means[i] = float32(wide / float64(m))
					sum, n := int32(0), 0
					each(func(at int) { sum += int32(x[at*c+i]) - 9; n++ })
					want[i] = float32(sum) * float32(float64(float32(0.3))/float64(n))
				}
				for isa := cpu.Generic; isa <= cpu.Active(); isa++ {
					if cpu.Has(isa) {
						restore := cpu.SetMax(isa)
						c0 := rng.IntN(c)
						for _, c1 := range []int{c0 + 1 + rng.IntN(c-c0), c} {
							check(t, fmt.Sprint("floats ", isa, c, r), means[c0:c1], func(dst []float32) { p.Mean(dst, floats, r, c0, &Taps{}) })
							check(t, fmt.Sprint(isa, c, r), want[c0:c1], func(dst []float32) { p.MeanCodes(dst, x, r, c0, 0.3, 9, &Taps{}) })
							c0 = 0
						}
						restore()
					}
				}
			}
		}
	}
}
