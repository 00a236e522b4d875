package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
)

// levels runs f once for each instruction set that float kernels have a path for.
func levels(t *testing.T, f func(t *testing.T, isa cpu.ISA)) {
	for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512, cpu.AMX} {
		if !cpu.Has(isa) {
			t.Logf("%v: not on this machine", isa)
			continue
		}
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.SetMax(isa)()
			f(t, isa)
		})
	}
}

// hard is values that break careless kernels.
var hard = []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)),
	1e-45, -1e-40, 1.1754944e-38, math.MaxFloat32, -math.MaxFloat32, 88.7, 89.5, -86.99, -87.01, -104, 0.5, 1.5, 2.5, 3e38, 1e-30, 9e-31}

// mixed returns n Gaussian values; with some hard ones among them if asked.
func mixed(rng *rand.Rand, n int, withHard bool) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * 10)
		if withHard && rng.IntN(3) == 0 {
			x[i] = hard[rng.IntN(len(hard))]
		}
	}
	return x
}

// same compares bits; NaNs of all kinds are equal.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

const fence = -12345

// fenced returns n values at an offset, with fence values around them, and a check that these are still there.
func fenced(n, off int) (x []float32, intact func() bool) {
	all := make([]float32, off+n+20)
	for i := range all {
		all[i] = fence
	}
	return all[off : off+n], func() bool {
		for i, v := range all {
			if (i < off || i >= off+n) && v != fence {
				return false
			}
		}
		return true
	}
}

// sizes are all small lengths and a few around multiples of 16 and 256.
func sizes() (s []int) {
	for n := range 70 {
		s = append(s, n)
	}
	return append(s, 255, 256, 257, 271, 272, 273, 512, 1000)
}

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
		if got := exp32(x); !same(got, float32(want)) {
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
					inv := float32(1 / math.Sqrt(float64(sumSquaresGeneric(a))/float64(len(a))+1e-5))
					normRowGeneric(dst, a, b, inv, 0.25)
				}
			}},
	}
	for name, twin := range map[string]func(dst, x []float32){"silu": siluGeneric, "gelu": geluGeneric, "gelu_tanh": geluTanhGeneric, "relu": reluGeneric} {
		f, ok := Unary(name)
		if !ok {
			t.Fatalf("%s is missing", name)
		}
		ops[name] = struct{ run, twin func(dst, a, b []float32) }{
			func(dst, a, _ []float32) { f(dst, a) }, func(dst, a, _ []float32) { twin(dst, a) }}
	}
	if _, ok := Unary("tanh?"); ok {
		t.Error("an unknown function was found")
	}
	levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(2, 2))
		for name, op := range ops {
			for i, n := range sizes() {
				withHard := i%2 == 0
				a, b := mixed(rng, n+1, withHard)[1:], mixed(rng, n+3, withHard)[3:]
				want := make([]float32, n)
				op.twin(want, a, b)
				dst, intact := fenced(n, i%5)
				op.run(dst, a, b)
				inPlace, intact2 := fenced(n, i%3)
				copy(inPlace, a)
				op.run(inPlace, inPlace, b)
				for j := range want {
					if !same(dst[j], want[j]) || !same(inPlace[j], want[j]) {
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
		"silu":      func(x float64) float64 { return x / (1 + math.Exp(-x)) },
		"gelu":      func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
		"gelu_tanh": func(x float64) float64 { return x / (1 + math.Exp(-geluC1*(x+0.044715*x*x*x))) },
		"relu":      func(x float64) float64 { return max(x, 0) },
	} {
		f, _ := Unary(name)
		f(dst, x)
		for i, v := range x {
			want, arg := ref(float64(v)), math.Abs(float64(v))
			if name == "gelu_tanh" {
				arg = geluC1 * (arg + 0.044715*arg*arg*arg)
			}
			// Beyond exp's range the result is a zero of exp(-87).
			tol := (8+4*arg)*u*math.Abs(want) + 20*math.Exp(-87)
			if math.Abs(float64(dst[i])-want) > tol {
				t.Errorf("%s(%g) = %g, want %g within %.2g", name, v, dst[i], want, tol)
				break
			}
		}
	}
}

// TestRMSNorm: each lane sums ceil(n/16) squares, then four additions; half of
// that relative error reaches the root, and four more roundings follow.
func TestRMSNorm(t *testing.T) {
	const u = 1.0 / (1 << 24)
	levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(4, 4))
		for _, n := range []int{1, 15, 17, 64, 172, 2048} {
			x, w, dst := mixed(rng, n, false), mixed(rng, n, false), make([]float32, n)
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
			x := mixed(rng, heads*dim, false)
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
	levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, c := range [][2]int{{1, 2}, {3, 8}, {16, 32}, {20, 64}, {32, 64}, {33, 70}, {64, 128}} {
			n, dim := c[0], c[1]
			for heads := range 4 {
				x, intact := fenced(heads*dim, heads)
				copy(x, mixed(rng, len(x), true))
				want, table := slices.Clone(x), mixed(rng, 2*n, false)
				rotateHalvesGeneric(want, table, n, dim)
				rotateHalves(x, table, n, dim)
				if !slices.EqualFunc(x, want, same) || !intact() {
					t.Errorf("%d heads of %d, %d pairs: other bits than the twin", heads, dim, n)
				}
			}
		}
	})
}

// TestActs checks the codes against the formulas of numerics N3, and that all levels agree.
func TestActs(t *testing.T) {
	first := map[string]*Acts{}
	levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(6, 6))
		for _, form := range []ActForm{AF32, ABF16, A8, A16} {
			for _, k := range []int{1, 7, 8, 15, 16, 17, 31, 64, 100, 129, 512} {
				const rows = 6
				ldx := k + 3
				x := mixed(rng, rows*ldx+1, false)[1:]
				clear(x[ldx:][:k])
				x[2*ldx+k/2] = float32(math.NaN())
				x[3*ldx+k-1] = float32(math.Inf(-1))
				for i := range k {
					x[4*ldx+i] = 1e-31
					x[5*ldx+i] *= 1e36
				}
				a := NewActs(form, rows+1, k).Reset(rows)
				if size := map[ActForm]int{AF32: 4, ABF16: 2, A8: 1, A16: 1}[form]; a.Stride < Pad(k, 64) || a.Stride*size%512 == 0 || a.Stride%64 != 0 {
					t.Errorf("stride %d", a.Stride)
				}
				a.Quantize(0, 2, x, ldx)
				a.Quantize(2, rows, x[2*ldx:], ldx)
				if err := a.Check(); err != nil {
					t.Fatal(err)
				}
				for m := range rows {
					checkActsRow(t, a, m, x[m*ldx:][:k])
				}
				key := fmt.Sprint(form, k)
				f := first[key]
				if f == nil {
					first[key] = a
				} else if !slices.Equal(a.Hi, f.Hi) || !slices.Equal(a.Lo, f.Lo) || !slices.Equal(a.BF16, f.BF16) ||
					!slices.EqualFunc(a.F32, f.F32, same) || !slices.EqualFunc(a.Scale, f.Scale, same) || !slices.Equal(a.Zero, f.Zero) {
					t.Errorf("form %s k=%d: differs from generic", form, k)
				}
			}
		}
	})
}

func checkActsRow(t *testing.T, a *Acts, m int, x []float32) {
	var abs float64
	for _, v := range x {
		abs = max(abs, math.Abs(float64(v))) // NaN stays
	}
	top, zero := 127.0, int32(128)
	if a.Form == A16 {
		top, zero = 32767, 32768
	}
	for k := range a.Stride {
		i := m*a.Stride + k
		var v float32
		if k < len(x) {
			v = x[k]
		}
		switch a.Form {
		case AF32:
			if !same(a.F32[i], v) {
				t.Fatalf("row %d column %d: %g, want %g", m, k, a.F32[i], v)
			}
			continue
		case ABF16:
			if a.BF16[i] != num.BF16(v) || !same(a.F32[i], num.FromBF16(num.BF16(v))) {
				t.Fatalf("row %d column %d: bf16 %#x, wide %g of %g", m, k, a.BF16[i], a.F32[i], v)
			}
			continue
		}
		u := int32(a.Hi[i])
		if a.Form == A16 {
			u = u<<8 | int32(a.Lo[i])
		}
		q := u - zero
		switch {
		case k >= len(x):
			if u != 0 {
				t.Fatalf("row %d: padding %d is %d", m, k, u)
			}
		case math.IsNaN(abs) || math.IsInf(abs, 0):
			if a.Scale[m] == a.Scale[m] || q != 0 {
				t.Fatalf("row %d with NaN or Inf: scale %g code %d", m, a.Scale[m], q)
			}
		case abs < tiny:
			if a.Scale[m] != 0 || q != 0 {
				t.Fatalf("row %d of zeros: scale %g code %d", m, a.Scale[m], q)
			}
		default:
			want := int32(math.RoundToEven(float64(v * (float32(top) / float32(abs)))))
			if a.Scale[m] != float32(abs)/float32(top) || q != want {
				t.Fatalf("row %d column %d: %g has code %d, want %d; scale %g", m, k, v, q, want, a.Scale[m])
			}
			// In range, so within half a step, but for the three roundings on the way.
			if e := math.Abs(float64(q)*float64(a.Scale[m]) - float64(v)); e > float64(a.Scale[m])/2*(1+top*4/(1<<24)) {
				t.Fatalf("row %d column %d: %g is stored as %g", m, k, v, float32(q)*a.Scale[m])
			}
		}
	}
	if a.Form == A8 && a.Zero[m] != 128 {
		t.Fatalf("row %d: zero point %d", m, a.Zero[m])
	}
}

func TestQuantizeStatic(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	levels(t, func(t *testing.T, isa cpu.ISA) {
		for _, k := range sizes()[1:] {
			const scale, zero = 0.0625, 77
			a := NewActs(A8, 1, k).Reset(1)
			x := mixed(rng, k, true)
			a.QuantizeStatic(0, 1, x, 0, scale, zero)
			for i, v := range x {
				want := 0.0
				if v == v {
					want = min(max(math.RoundToEven(float64(v*(1/float32(scale))))+zero, 0), 255)
				}
				if float64(a.Hi[i]) != want {
					t.Fatalf("k=%d: %g has code %d, want %g", k, v, a.Hi[i], want)
				}
			}
			hidden := slices.ContainsFunc(x, func(v float32) bool { return v-v != 0 }) // NaN or Inf must show
			if s := a.Scale[0]; (s != scale || hidden) && (s == s || !hidden) || a.Zero[0] != zero {
				t.Fatalf("k=%d: scale %g, zero point %d", k, s, a.Zero[0])
			}
		}
	})
}

func TestEmbedRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	const n, k = 37, 100
	rows := student(rng, n*k, 0)
	dst := make([]float32, k)
	for _, f := range []Format{F32, BF16} {
		w := NewWeight(f, n, k, 0)
		w.PutFloatRows(0, rows[:20*k], 20)
		w.PutFloatRows(20, rows[20*k:], 17)
		for id := range n {
			EmbedRow(dst, w, id)
			for i, v := range rows[id*k:][:k] {
				if f == BF16 {
					v = num.FromBF16(num.BF16(v))
				}
				if dst[i] != v {
					t.Fatalf("%s row %d: %g, want %g", f, id, dst[i], v)
				}
			}
		}
	}
	for _, c := range integerFormats {
		w := randomWeight(rng, c.f, n, k, c.group, false, false)
		codes := make([]int8, k)
		for id := range n {
			for i := range codes {
				codes[i] = int8(rng.IntN(1 << min(c.f.bits(), 6)))
			}
			PutRow(w, id, codes)
			EmbedRow(dst, w, id)
			for i := range codes {
				want := float64(codes[i])
				switch g := (id/16*((k+max(c.group, 1)-1)/max(c.group, 1))+i/max(c.group, 1))*16 + id%16; c.f {
				case I8:
					want *= float64(w.Scale[id])
				case I4: // w8 is an int8, whatever the code
					want = float64(int8((codes[i]-int8(w.Groups[g]&15))*int8(w.Groups[g]>>4+1))) * float64(w.Scale[id])
				case I6:
					want = float64(int8((codes[i]-int8(w.Groups[g]&63))*int8(w.Groups[g]>>6+1))) * float64(w.Scale[id])
				case I4F:
					want = (want - float64(w.Groups[g])) * float64(w.GroupScale[g])
				}
				if dst[i] != float32(want) {
					t.Fatalf("%s group %d row %d column %d: %g, want %g", c.f, c.group, id, i, dst[i], want)
				}
			}
		}
	}
}

// floatLayer is a random float layer and its input.
func floatLayer(rng *rand.Rand, f Format, m, n, k int) (*Weight, *Acts, []float32, []float32) {
	form := map[Format]ActForm{F32: AF32, BF16: ABF16}[f]
	rows, in := student(rng, n*k, 4), mixed(rng, m*k, false)
	w := unalign(NewWeight(f, n, k, 0))
	w.PutFloatRows(0, rows, n)
	w.Bias = make([]float32, Pad(n, 16))
	copy(w.Bias, mixed(rng, n, false))
	x := NewActs(form, m, k).Reset(m)
	x.Quantize(0, m, in, k)
	return w, x, in, rows
}

// TestLinearFloat: within the bound for a sum of K products, (K+2)*u*sum|x*w| +
// 2u*(|bias|+|y|), of the exact sum; the bits are those of every other level with the same
// operations, of one row at a time and of one block at a time; nothing else is written.
func TestLinearFloat(t *testing.T) {
	const u = 1.0 / (1 << 24)
	first := map[string][]float32{} // results by shape, of the first level with these operations
	levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(9, 9))
		for _, f := range []Format{F32, BF16} {
			for _, s := range []shape{{1, 1, 1}, {2, 15, 31}, {3, 16, 32}, {4, 17, 33}, {5, 64, 64}, {7, 40, 100}, {8, 33, 172}, {15, 100, 513}, {70, 20, 1100}, {1, 64, 4096}} {
				m, n, k := s.m, s.n, s.k
				name := fmt.Sprintf("%s M=%d N=%d K=%d", f, m, n, k)
				w, x, in, rows := floatLayer(rng, f, m, n, k)
				ldy := n + 3
				old := mixed(rng, m*ldy, false)
				y, intact := fenced(m*ldy, 1)
				copy(y, old)
				var sc Scratch
				Linear(y, ldy, x, w, 0, w.Blocks(), Epilogue{Add: true}, &sc)
				if !intact() {
					t.Fatalf("%s: wrote outside", name)
				}
				round := func(v float32) float64 {
					if f == BF16 {
						v = num.FromBF16(num.BF16(v))
					}
					return float64(v)
				}
				for i := range m {
					for j := range ldy {
						got, before := y[i*ldy+j], old[i*ldy+j]
						if j >= n {
							if got != before {
								t.Fatalf("%s: column %d written", name, j)
							}
							continue
						}
						sum, abs := 0.0, 0.0
						for c := range k {
							p := round(in[i*k+c]) * round(rows[j*k+c])
							sum, abs = sum+p, abs+math.Abs(p)
						}
						want := sum + float64(w.Bias[j]) + float64(before)
						tol := float64(k+2)*u*abs + 2*u*(abs+math.Abs(float64(w.Bias[j]))+math.Abs(float64(before)))
						if !(math.Abs(float64(got)-want) <= tol) {
							t.Fatalf("%s: y[%d][%d] is %g, want %g within %.2g", name, i, j, got, want, tol)
						}
					}
				}
				// Any cut gives the same bits.
				cut := slices.Clone(old)
				for i := range m {
					one := NewActs(x.Form, 1, k).Reset(1)
					one.Quantize(0, 1, in[i*k:], 0)
					for b := range w.Blocks() {
						Linear(cut[i*ldy:], ldy, one, w, b, b+1, Epilogue{Add: true}, &sc)
					}
				}
				if !slices.Equal(cut, y) {
					t.Errorf("%s: one row and block at a time gives other bits", name)
				}
				key := name
				if f == F32 && isa >= cpu.AVX2 {
					key += " fma"
				}
				if first[key] == nil {
					first[key] = slices.Clone(y)
				} else if !slices.Equal(first[key], y) {
					t.Errorf("%s: other bits than a lower level", name)
				}
				// FMA shows that the fast path was taken.
				if k >= 100 && key != name && slices.Equal(first[name], y) {
					t.Errorf("%s: the twin ran in place of FMA", name)
				}
			}
		}
	})
}

// TestFlushDenormals: BF16 sums below 2^-126 count as zero, in linear layers and
// in attention, and float arithmetic is as before after the call. The twin does not
// flush, so this also shows that it was not taken.
func TestFlushDenormals(t *testing.T) {
	if !cpu.Has(cpu.AVX512) {
		t.Skip("the twin does not flush")
	}
	w := NewWeight(BF16, 1, 32, 0)
	row := make([]float32, 32)
	row[4], row[5] = math.Float32frombits(0x10000000), 1
	w.PutFloatRows(0, row, 1)
	x := NewActs(ABF16, 1, 32).Reset(1)
	in := make([]float32, 32)
	in[4] = math.Float32frombits(0x0f000000) // the product is near 2^-192
	in[5] = math.Float32frombits(0x00400000) // denormal
	x.Quantize(0, 1, in, 0)
	y := []float32{-1}
	Linear(y, 1, x, w, 0, 1, Epilogue{}, new(Scratch))
	if y[0] != 0 {
		t.Errorf("got %g, want 0", y[0])
	}
	kv := NewKV(KVBF16, 1, 32, 1)
	kv.Append(0, in, in)
	out := make([]float32, 32)
	Attention(out, 32, in, 32, []int32{0}, kv, 0, AttnSpec{Heads: 1, Scale: 1}, new(AttnScratch))
	if out[5] != 0 || out[4] != in[4] {
		t.Errorf("attention to itself gives %g, %g, want %g, 0", out[4], out[5], in[4])
	}
	if d := in[5] * 0.5; d == 0 {
		t.Error("denormals are still flushed after the call")
	}
}

// TestBF16ISA: AMX and AVX-512 agree on bfloat16 numbers of all sizes, where
// products and sums are flushed, overflow, or are NaN.
func TestBF16ISA(t *testing.T) {
	if !cpu.Has(cpu.AMX) {
		t.Skip("no AMX on this machine")
	}
	if k := Choose(BF16, ABF16, 20); cpu.Active() == cpu.AMX && k != "linear-bf16-bf16-amx" {
		t.Errorf("AMX is not reached: %s", k)
	}
	rng := rand.New(rand.NewPCG(11, 11))
	for _, exp := range [][2]int{{0, 255}, {0, 5}, {0, 70}, {50, 70}, {1, 254}, {100, 150}} {
		random := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = math.Float32frombits(rng.Uint32()&0x807f0000 | uint32(exp[0]+rng.IntN(exp[1]-exp[0]+1))<<23)
			}
			return x
		}
		for m := 5; m < 40; m += 3 {
			const n, k = 70, 160
			w := NewWeight(BF16, n, k, 0)
			w.PutFloatRows(0, random(n*k), n)
			x := NewActs(ABF16, m, k).Reset(m)
			x.Quantize(0, m, random(m*k), k)
			var want []float32
			for _, isa := range []cpu.ISA{cpu.AVX512, cpu.AMX} {
				restore := cpu.SetMax(isa)
				y := make([]float32, m*n)
				Linear(y, n, x, w, 0, w.Blocks(), Epilogue{}, new(Scratch))
				restore()
				if want == nil {
					want = y
				} else if !slices.EqualFunc(y, want, same) {
					t.Fatalf("exponents %v M=%d: other bits than AVX-512", exp, m)
				}
			}
		}
	}
}

func TestFloatAllocs(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 10))
	var sc Scratch
	for _, f := range []Format{F32, BF16} {
		w, x, in, _ := floatLayer(rng, f, 3, 40, 100)
		y := make([]float32, 3*40)
		if n := testing.AllocsPerRun(10, func() {
			x.Reset(3).Quantize(0, 3, in, 100)
			Linear(y, 40, x, w, 0, w.Blocks(), Epilogue{}, &sc)
			RMSNorm(y, y, y, 1e-5, 0)
			SiLUMul(y, y, y)
			Add(y, y, y)
			EmbedRow(in[:100], w, 3)
		}); n != 0 {
			t.Errorf("%s: %g allocations", f, n)
		}
	}
	for _, typ := range []KVType{KVF32, KVBF16, KVI8} {
		kv := NewKV(typ, 2, 24, 256)
		k, q, out := mixed(rng, 48, false), mixed(rng, 96, false), make([]float32, 96)
		var s AttnScratch
		kv.Append(0, k, k)
		pos := []int32{0}
		if n := testing.AllocsPerRun(100, func() {
			pos[0]++
			kv.Append(int(pos[0]), k, k)
			for h := range 2 {
				Attention(out, 96, q, 96, pos, kv, h, AttnSpec{4, 1, Mask{Causal: true}}, &s)
			}
		}); n != 0 {
			t.Errorf("cache type %d: %g allocations a token", typ, n)
		}
	}
}
