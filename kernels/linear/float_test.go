package linear

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/ktest"
)

// TestActs checks the codes against the formulas of numerics N3, and that all levels agree.
func TestActs(t *testing.T) {
	first := map[string]*Acts{}
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(6, 6))
		for _, form := range []ActForm{AF32, ABF16, A8, A16} {
			for _, k := range []int{1, 7, 8, 15, 16, 17, 31, 64, 100, 129, 512} {
				const rows = 6
				ldx := k + 3
				x := ktest.Mixed(rng, rows*ldx+1, false)[1:]
				clear(x[ldx:][:k])
				x[2*ldx+k/2] = float32(math.NaN())
				x[3*ldx+k-1] = float32(math.Inf(-1))
				for i := range k {
					x[4*ldx+i] = 1e-31
					x[5*ldx+i] *= 1e36
				}
				a := NewActs(form, rows+1, k).Reset(rows)
				if size := map[ActForm]int{AF32: 4, ABF16: 2, A8: 1, A16: 1}[form]; a.Stride < num.Pad(k, 64) || a.Stride*size%512 == 0 || a.Stride%64 != 0 {
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
					!slices.EqualFunc(a.F32, f.F32, ktest.Same) || !slices.EqualFunc(a.Scale, f.Scale, ktest.Same) || !slices.Equal(a.Zero, f.Zero) {
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
			if !ktest.Same(a.F32[i], v) {
				t.Fatalf("row %d column %d: %g, want %g", m, k, a.F32[i], v)
			}
			continue
		case ABF16:
			if a.BF16[i] != num.BF16(v) {
				t.Fatalf("row %d column %d: bf16 %#x of %g", m, k, a.BF16[i], v)
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
		case abs < 1e-30:
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
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		for _, k := range ktest.Sizes()[1:] {
			const scale, zero = 0.0625, 77
			a := NewActs(A8, 1, k).Reset(1)
			x := ktest.Mixed(rng, k, true)
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
	rows := ktest.Student(rng, n*k, 0)
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
				codes[i] = int8(rng.IntN(1 << min(c.f.Bits(), 6)))
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
	rows, in := ktest.Student(rng, n*k, 4), ktest.Mixed(rng, m*k, false)
	w := unalign(NewWeight(f, n, k, 0))
	w.PutFloatRows(0, rows, n)
	w.Bias = make([]float32, num.Pad(n, 16))
	copy(w.Bias, ktest.Mixed(rng, n, false))
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
	ktest.Levels(t, func(t *testing.T, isa cpu.ISA) {
		rng := rand.New(rand.NewPCG(9, 9))
		for _, f := range []Format{F32, BF16} {
			for _, s := range []shape{{1, 1, 1}, {2, 15, 31}, {3, 16, 32}, {4, 17, 33}, {5, 64, 64}, {7, 40, 100}, {8, 33, 172}, {15, 100, 513}, {70, 20, 1100}, {1, 64, 4096}} {
				m, n, k := s.m, s.n, s.k
				name := fmt.Sprintf("%s M=%d N=%d K=%d", f, m, n, k)
				w, x, in, rows := floatLayer(rng, f, m, n, k)
				ldy := n + 3
				old := ktest.Mixed(rng, m*ldy, false)
				y, intact := ktest.Fenced(m*ldy, 1)
				copy(y, old)
				var sc Scratch
				Linear(Sink{Y: y, Ld: ldy, Add: y}, x, w, 0, w.Blocks(), &sc)
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
						Linear(Sink{Y: cut[i*ldy:], Ld: ldy, Add: cut[i*ldy:]}, one, w, b, b+1, &sc)
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

// TestFlushDenormals: BF16 sums below 2^-126 count as zero, and float arithmetic is as before after the call. The twin does not
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
	Linear(Sink{Y: y, Ld: 1}, x, w, 0, 1, new(Scratch))
	if y[0] != 0 {
		t.Errorf("got %g, want 0", y[0])
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
				Linear(Sink{Y: y, Ld: n}, x, w, 0, w.Blocks(), new(Scratch))
				restore()
				if want == nil {
					want = y
				} else if !slices.EqualFunc(y, want, ktest.Same) {
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
			Linear(Sink{Y: y, Ld: 40}, x, w, 0, w.Blocks(), &sc)
			elem.RMSNorm(y, y, y, 1e-5, 0)
			elem.SiLUMul(y, y, y)
			elem.Add(y, y, y)
			EmbedRow(in[:100], w, 3)
		}); n != 0 {
			t.Errorf("%s: %g allocations", f, n)
		}
	}
}
