package elem

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/internal/ktest"
)

// TestExp holds the bound stated in elem.go: 2^-23 = 1.19e-7 relative.
func TestExp(t *testing.T) {
	worst, at := 0.0, float32(0)
	for x := float32(-87); x < 88.72; x += 1.0 / 512 {
		want := math.Exp(float64(x))
		if e := math.Abs(float64(exp32(x))-want) / want; e > worst {
			worst, at = e, x
		}
	}
	t.Logf("worst relative error %.3g at %g", worst, at)
	if worst > math.Exp2(-23) {
		t.Errorf("relative error %.3g at %g", worst, at)
	}
	for x, want := range map[float32]float64{float32(math.Inf(1)): math.Inf(1), 89: math.Inf(1), 88.8: math.Inf(1),
		float32(math.Inf(-1)): 0, -87.01: 0, 0: 1, float32(math.NaN()): math.NaN()} {
		if got := exp32(x); !ktest.Same(got, float32(want)) {
			t.Errorf("exp(%g) = %g, want %g", x, got, want)
		}
	}
}

// TestElementwise: all levels give the twin's bits, for all lengths, unaligned, on hard values, in place.
func TestElementwise(t *testing.T) {
	ops := map[string]struct{ run, twin func(dst, a, b []float32) }{
		"silumul": {SiLUMul, siluMulGeneric},
		"add":     {Add, addGeneric},
		"sub":     {Sub, subGeneric},
		"mul":     {Mul, mulGeneric},
		"rmsnorm": {
			func(dst, a, b []float32) { RMSNorm(dst, a, b, 1e-5, 0.25) },
			func(dst, a, b []float32) {
				if len(a) > 0 {
					inv := float32(1 / math.Sqrt(float64(lanes(a, func(v float32) float32 { return v * v }))/float64(len(a))+1e-5))
					normRowGeneric(dst, a, b, inv, 0.25)
				}
			}},
		"layernorm": {
			func(dst, a, b []float32) { LayerNorm(dst, a, b, b, 1e-5) },
			func(dst, a, b []float32) { layerNormTwin(dst, a, b, b) }},
		"layernorm alone": {
			func(dst, a, b []float32) { LayerNorm(dst, a, nil, nil, 1e-5) },
			func(dst, a, b []float32) { layerNormTwin(dst, a, nil, nil) }},
		"softmax": {
			func(dst, a, b []float32) { Softmax(dst, a) },
			func(dst, a, b []float32) { softmaxTwin(dst, a) }},
	}
	for name, i := range unary {
		f, _ := Unary(name)
		twin := unaryTwins[i]
		ops[name] = struct{ run, twin func(dst, a, b []float32) }{
			func(dst, a, _ []float32) { f(dst, a) },
			func(dst, a, _ []float32) {
				for i, v := range a {
					dst[i] = twin(v)
				}
			}}
	}
	if _, ok := Unary("tanh?"); ok {
		t.Error("an unknown function was found")
	}
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(2, 2))
		for name, op := range ops {
			for i, n := range ktest.Sizes() {
				withHard := i%2 == 0
				a, b := ktest.Mixed(rng, n+1, withHard)[1:], ktest.Mixed(rng, n+3, withHard)[3:]
				want := make([]float32, n)
				op.twin(want, a, b)
				dst, intact := ktest.Fenced(n, i%5)
				op.run(dst, a, b)
				inPlace, intact2 := ktest.Fenced(n, i%3)
				copy(inPlace, a)
				op.run(inPlace, inPlace, b)
				for j := range want {
					if !ktest.Same(dst[j], want[j]) || !ktest.Same(inPlace[j], want[j]) {
						t.Fatalf("%s n=%d: element %d of (%g, %g): %g, in place %g, want %g", name, n, j, a[j], b[j], dst[j], inPlace[j], want[j])
					}
				}
				if !intact() || !intact2() {
					t.Fatalf("%s n=%d: wrote outside", name, n)
				}
			}
		}
	})
}

// TestFunctions holds values against float64 formulas. u is half a unit in the
// last place, 2^-24; exp contributes 3u, and |t|*u for the rounding of its argument.
func TestFunctions(t *testing.T) {
	const u = 1.0 / (1 << 24)
	x := []float32{}
	for v := float32(-20); v <= 20; v += 1.0 / 64 {
		x = append(x, v)
	}
	dst := make([]float32, len(x))
	for name, ref := range map[string]func(x float64) float64{
		"silu":       func(x float64) float64 { return x / (1 + math.Exp(-x)) },
		"gelu":       func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
		"gelu_tanh":  func(x float64) float64 { return x / (1 + math.Exp(-geluC1*(x+0.044715*x*x*x))) },
		"relu":       func(x float64) float64 { return max(x, 0) },
		"relu2":      func(x float64) float64 { return max(x, 0) * max(x, 0) },
		"sigmoid":    func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
		"quick_gelu": func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) },
		"tanh":       math.Tanh,
		"exp":        math.Exp,
		"neg":        func(x float64) float64 { return -x },
	} {
		f, ok := Unary(name)
		if !ok {
			t.Fatalf("%s is missing", name)
		}
		f(dst, x)
		for i, v := range x {
			want, arg := ref(float64(v)), math.Abs(float64(v))
			if name == "gelu_tanh" {
				arg = geluC1 * (arg + 0.044715*arg*arg*arg)
			}
			// Beyond exp's range the result is a zero of exp(-87).
			tol := (8+4*arg)*u*math.Abs(want) + 20*math.Exp(-87)
			if name == "gelu" { // the rounding of x itself; the pieces' error is relative to 0.02 at least, for x > -1 to the result; beyond the last there is nothing
				tol = 2.02*u*math.Max(float64(v), 0) + 4e-7*math.Max(math.Abs(want-max(float64(v), 0)), 0.02)
				if arg >= geluEnd {
					tol = 2.02*u*math.Max(float64(v), 0) + 1.01*geluEnd*math.Erfc(geluEnd/math.Sqrt2)/2
				}
			}
			if math.Abs(float64(dst[i])-want) > tol {
				t.Errorf("%s(%g) = %g, want %g within %.2g", name, v, dst[i], want, tol)
				break
			}
		}
	}
}

// lanes sums f(x) as numerics N6.4 does.
func lanes(x []float32, f func(v float32) float32) float32 {
	var lane [16]float32
	for i, v := range x {
		lane[i%16] += f(v)
	}
	return FoldLanes(&lane)
}

func layerNormTwin(dst, x, w, b []float32) {
	n := float64(len(x))
	mean := float32(float64(lanes(x, func(v float32) float32 { return v })) / n)
	inv := float32(1 / math.Sqrt(float64(lanes(x, func(v float32) float32 { return float32(v-mean) * float32(v-mean) }))/n+1e-5))
	for i, v := range x {
		dst[i] = float32(v-mean) * inv
		if w != nil {
			dst[i] *= w[i]
		}
		if b != nil {
			dst[i] += b[i]
		}
	}
}

func softmaxTwin(dst, x []float32) {
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	e := func(v float32) float32 { return exp32(v - top) }
	sum := lanes(x, e)
	for i, v := range x {
		dst[i] = e(v) / sum
	}
}

// TestRows holds LayerNorm and Softmax against float64: sums as in TestRMSNorm.
func TestRows(t *testing.T) {
	const u = 1.0 / (1 << 24)
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(4, 5))
		for _, n := range []int{1, 5, 16, 31, 100, 768} {
			x, w, b, dst := ktest.Mixed(rng, n, false), ktest.Mixed(rng, n, false), ktest.Mixed(rng, n, false), make([]float32, n)
			var mean, variance, sum, norm, abs float64
			for _, v := range x {
				mean += float64(v) / float64(n)
				abs = max(abs, math.Abs(float64(v)))
				norm += math.Exp(float64(v) - float64(slices.Max(x)))
			}
			for _, v := range x {
				variance += (float64(v) - mean) * (float64(v) - mean) / float64(n)
			}
			rel := (float64(n)/16 + 8) * u
			LayerNorm(dst, x, w, b, 1e-5)
			for i, v := range x {
				d := (float64(v) - mean) / math.Sqrt(variance+1e-5)
				want := d*float64(w[i]) + float64(b[i])
				tol := 2*u*math.Abs(want) + math.Abs(float64(w[i]))*(2*rel*math.Abs(d)+2*rel*abs/math.Sqrt(variance+1e-5))
				if math.Abs(float64(dst[i])-want) > tol {
					t.Fatalf("layernorm n=%d: element %d is %g, want %g within %.2g", n, i, dst[i], want, tol)
				}
			}
			Softmax(dst, x)
			for i, v := range x {
				want := math.Exp(float64(v)-float64(slices.Max(x))) / norm
				if tol := (rel+(8+2*abs)*u)*want + math.Exp(-87); math.Abs(float64(dst[i])-want) > tol {
					t.Fatalf("softmax n=%d: element %d is %g, want %g within %.2g", n, i, dst[i], want, tol)
				}
				sum += float64(dst[i])
			}
			if math.Abs(sum-1) > float64(n)*u+rel {
				t.Errorf("softmax n=%d: sum %g", n, sum)
			}
		}
		for _, x := range [][]float32{{float32(math.Inf(-1)), float32(math.Inf(-1))}, {1, float32(math.NaN())}, {float32(math.Inf(1)), 0}} {
			dst := make([]float32, len(x))
			if Softmax(dst, x); dst[0] == dst[0] || dst[1] == dst[1] {
				t.Errorf("softmax of %v: %v, want NaN", x, dst)
			}
		}
	})
}

// TestNoAllocation: nothing that an executor calls for a row goes to the heap.
func TestNoAllocation(t *testing.T) {
	x, w, one := make([]float32, 100), make([]float32, 100), make([]float32, 1)
	silu, _ := Unary("silu")
	sub, _ := Binary("sub")
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		if n := testing.AllocsPerRun(10, func() {
			RMSNorm(x, x, w, 1e-5, 0)
			LayerNorm(x, x, w, nil, 1e-5)
			Softmax(x, x)
			silu(x, x)
			sub(x, x, one)
			Broadcast(sub, x, []int{10, 10}, x, []int{10, 10}, w[:10], []int{10})
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestRMSNorm: each lane sums ceil(n/16) squares, then four additions; half of
// that relative error reaches the root, and four more roundings follow.
func TestRMSNorm(t *testing.T) {
	const u = 1.0 / (1 << 24)
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(4, 4))
		for _, n := range []int{1, 15, 17, 64, 172, 2048} {
			x, w, dst := ktest.Mixed(rng, n, false), ktest.Mixed(rng, n, false), make([]float32, n)
			RMSNorm(dst, x, w, 1e-5, 1)
			sum := 0.0
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			inv := 1 / math.Sqrt(sum/float64(n)+1e-5)
			for i := range x {
				want := float64(x[i]) * inv * (float64(w[i]) + 1)
				if tol := (float64(n)/16 + 6 + 4) * u * math.Abs(want); math.Abs(float64(dst[i])-want) > tol+u*math.Abs(float64(x[i])*inv) {
					t.Fatalf("n=%d: element %d is %g, want %g within %.2g", n, i, dst[i], want, tol)
				}
			}
		}
	})
}

func TestRope(t *testing.T) {
	const dim, rotary, heads = 12, 8, 3
	freqs := []float64{1, 0.31, 0.1, 0.0316}
	rng := rand.New(rand.NewPCG(5, 5))
	for _, interleaved := range []bool{false, true} {
		r := NewRope(freqs, 1.5, rotary, dim, interleaved)
		for _, pos := range []int{0, 1, 7, 300, 2047} {
			r.Reserve(pos + 1)
			x := ktest.Mixed(rng, heads*dim, false)
			got := slices.Clone(x)
			r.Apply(got, pos)
			for h := range heads {
				for i, f := range freqs {
					a, b := h*dim+i, h*dim+i+rotary/2
					if interleaved {
						a, b = h*dim+2*i, h*dim+2*i+1
					}
					sin, cos := math.Sincos(float64(float32(pos) * float32(f)))
					wa := 1.5 * (float64(x[a])*cos - float64(x[b])*sin)
					wb := 1.5 * (float64(x[b])*cos + float64(x[a])*sin)
					// Two products of two roundings each, and the sum's.
					tol := 1.5 * 3 / (1 << 24) * (math.Abs(float64(x[a])) + math.Abs(float64(x[b])))
					if math.Abs(float64(got[a])-wa) > tol || math.Abs(float64(got[b])-wb) > tol {
						t.Fatalf("interleaved %v pos %d pair %d: (%g, %g), want (%g, %g)", interleaved, pos, i, got[a], got[b], wa, wb)
					}
				}
				if !slices.Equal(got[h*dim+rotary:(h+1)*dim], x[h*dim+rotary:(h+1)*dim]) {
					t.Fatal("values beyond rotary changed")
				}
			}
		}
		first := make([]float32, dim)
		r.SetFreqs([]float64{2, 1, 0.5, 0.25})
		r.Reserve(4)
		first[0] = 1
		r.Apply(first, 3)
		if want := float32(math.Cos(6) * 1.5); first[0] != want {
			t.Errorf("after SetFreqs: cos is %g, want %g", first[0], want)
		}
	}
}

// TestRopeISA: all levels give the bits of the twin and touch nothing else.
func TestRopeISA(t *testing.T) {
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, c := range [][2]int{{1, 2}, {3, 8}, {16, 32}, {20, 64}, {32, 64}, {33, 70}, {64, 128}} {
			n, dim := c[0], c[1]
			for heads := range 4 {
				x, intact := ktest.Fenced(heads*dim, heads)
				copy(x, ktest.Mixed(rng, len(x), true))
				want, table := slices.Clone(x), ktest.Mixed(rng, 2*n, false)
				rotateHalvesGeneric(want, table, n, dim)
				active().rotateHalves(x, table, n, dim)
				if !slices.EqualFunc(x, want, ktest.Same) || !intact() {
					t.Errorf("%d heads of %d, %d pairs: other bits than the twin", heads, dim, n)
				}
			}
		}
	})
}

// TestDecode8: all codes with some scales and zero points, any length, the bits of the formula on every instruction set.
func TestDecode8(t *testing.T) {
	x := make([]byte, 300)
	for i := range x {
		x[i] = byte(i * 7)
	}
	for isa := cpu.Generic; isa <= cpu.Active(); isa++ {
		if !cpu.Has(isa) {
			continue
		}
		restore := cpu.SetMax(isa)
		for n := range len(x) {
			dst := make([]float32, n+1)
			dst[n] = 5
			zero, scale := int32(n%256), float32(n+1)*0.0137
			Decode8(dst[:n], x[:n], zero, scale)
			for i, v := range dst[:n] {
				if v != float32(int32(x[i])-zero)*scale || dst[n] != 5 {
					t.Fatalf("%s: code %d of %d is %v", isa, i, n, v)
				}
			}
		}
		restore()
	}
}

// TestCodes8: of any length, with numbers far outside and such as are none, the twin's on every instruction set, no byte beyond.
func TestCodes8(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32, 0.5, 1.5, -2.5}
	for n := range 300 {
		x, want, got := make([]float32, n), make([]byte, n+1), make([]byte, n+1)
		for i := range x {
			if x[i] = float32(60 * rng.NormFloat64()); rng.IntN(8) == 0 {
				x[i] = odd[rng.IntN(len(odd))]
			}
		}
		zero := rng.Int32N(256)
		lo, hi := float32(-zero), float32(rng.Int32N(256)-zero)+0.25
		codes8Generic(want[:n], x, 0.7, zero, lo, max(lo, hi))
		for isa := cpu.Generic; isa <= cpu.Active(); isa++ {
			if !cpu.Has(isa) {
				continue
			}
			restore := cpu.SetMax(isa)
			clear(got)
			Codes8(got[:n], x, 0.7, zero, lo, max(lo, hi))
			restore()
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %d codes are %v, want %v", isa, n, got, want)
			}
			for width := 1; width <= n; width++ {
				if n%width > 0 {
					continue
				}
				ld := width + rng.IntN(20)
				dst := make([]byte, (n/width-1)*ld+width)
				restore := cpu.SetMax(isa)
				Codes8Rows(dst, ld, x, width, 0.7, zero, lo, max(lo, hi))
				restore()
				for i, v := range dst {
					if r, c := i/ld, i%ld; c < width && v != want[r*width+c] || c >= width && v != 0 {
						t.Fatalf("%s: code %d of row %d of %d is %d", isa, c, r, width, v)
					}
				}
			}
		}
	}
}

// TestGate8: products of codes are Codes8 of Mul of Decode8 on every instruction set, of any length and number of rows, no byte beyond.
func TestGate8(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for isa := cpu.Generic; isa <= cpu.Active(); isa++ {
		if !cpu.Has(isa) {
			continue
		}
		for width := 1; width < 300; width++ {
			n := width * (1 + rng.IntN(3))
			x, gate, v := make([]byte, n), make([]float32, width), make([]float32, n)
			for i := range gate {
				gate[i] = float32(rng.NormFloat64())
			}
			if width > 3 {
				gate[width/2], gate[1] = float32(math.NaN()), float32(math.Inf(1))
			}
			for i := range x {
				x[i] = byte(rng.Uint32())
			}
			r := Recoding{Scale: 0.03, Inv: 1 / float32(0.04), Lo: -100, Hi: 155, Zero: 90, ToZero: 100}
			want := make([]byte, n+1)
			want[n] = 7
			restore := cpu.SetMax(cpu.Generic)
			Decode8(v, x, r.Zero, r.Scale)
			for i := 0; i < n; i += width {
				Mul(v[i:][:width], v[i:][:width], gate)
			}
			Codes8(want[:n], v, r.Inv, r.ToZero, r.Lo, r.Hi)
			restore()
			got := make([]byte, n+1)
			got[n] = 7
			restore = cpu.SetMax(isa)
			Gate8(got[:n], x, gate, &r)
			restore()
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %d codes are %v, want %v", isa, n, got, want)
			}
		}
	}
}

// TestInterleave3: as the twin, of every length, not aligned, nothing written beside.
func TestInterleave3(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 3))
	x := make([]byte, 3*101)
	for i := range x {
		x[i] = byte(rng.Uint32())
	}
	for isa := cpu.Generic; isa <= cpu.Active(); isa++ {
		if !cpu.Has(isa) {
			continue
		}
		restore := cpu.SetMax(isa)
		for n := range 100 {
			want, got := make([]byte, 3*n+40), make([]byte, 3*n+40)
			a, b, c := x[1:][:n], x[102:][:n], x[203:][:n]
			for i := range n {
				want[20+3*i], want[21+3*i], want[22+3*i] = a[i], b[i], c[i]
			}
			if Interleave3(got[20:], a, b, c); !slices.Equal(got, want) {
				t.Fatalf("%s: %d of each are %v, want %v", isa, n, got, want)
			}
		}
		restore()
	}
}
