package quant

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/ktest"
	"qpt/kernels/linear"
)

func quantizeAll(w *linear.Weight, rows []float32, opt Options) (e Error) {
	q := NewQuantizer(w.K, opt)
	for b := 0; b*16 < w.N; b++ {
		e.Add(q.Block(w, b, rows[b*16*w.K:min((b+1)*16, w.N)*w.K]))
	}
	return e
}

// TestSearchQuality holds the SQNR that the searches reach on weights of
// three shapes, so that a change of the search cannot lose accuracy unseen.
func TestSearchQuality(t *testing.T) {
	const n, k = 64, 4096
	cases := []struct {
		f     linear.Format
		group int
		want  [3]float64 // dB: Gaussian, t6, t4
	}{
		{linear.I8, 0, [3]float64{41.41, 35.11, 30.82}},
		{linear.I6, 16, [3]float64{33.85, 32.02, 29.73}},
		{linear.I6, 32, [3]float64{32.81, 30.69, 28.86}},
		{linear.I6, 64, [3]float64{31.99, 29.6, 27.82}},
		{linear.I4, 16, [3]float64{23.2, 22.16, 21.46}},
		{linear.I4, 32, [3]float64{21.99, 20.67, 19.79}},
		{linear.I4, 64, [3]float64{21.06, 19.39, 18.31}},
		{linear.I4, 128, [3]float64{20.36, 18.28, 16.92}},
	}
	for _, c := range cases {
		for i, dof := range []int{0, 6, 4} {
			rows := ktest.Student(rand.New(rand.NewPCG(1, uint64(dof))), n*k, dof)
			e := quantizeAll(linear.NewWeight(c.f, n, k, c.group), rows, Options{})
			t.Logf("format %d group %d dof %d: %.2f dB", c.f, c.group, dof, e.SQNR())
			if e.SQNR() < c.want[i] {
				t.Errorf("format %d group %d dof %d: %.2f dB, want %.2f", c.f, c.group, dof, e.SQNR(), c.want[i])
			}
		}
	}
}

// oneISA quantizes with the best instructions up to isa.
func oneISA(isa cpu.ISA, w *linear.Weight, rows []float32, opt Options) Error {
	defer cpu.SetMax(isa)()
	return quantizeAll(w, rows, opt)
}

// TestQuantizeISA holds numerics N4.4: every level of the machine writes the
// same bytes and reports the same error.
func TestQuantizeISA(t *testing.T) {
	if !cpu.Has(cpu.AVX2) {
		t.Skip("no AVX2 on this machine")
	}
	rng := rand.New(rand.NewPCG(7, 7))
	check := func(f linear.Format, n, k, group int, opt Options) {
		t.Helper()
		rows := ktest.Student(rng, n*k, 4)
		for i := range n { // rows of many kinds
			row := rows[i*k : (i+1)*k]
			switch scale := float32(1); rng.IntN(8) {
			case 0:
				clear(row)
			case 1:
				clear(row[:k/2])
			case 2:
				row[rng.IntN(k)] *= 1000
			case 3:
				for j := range row {
					row[j] = float32(math.Abs(float64(row[j])))
				}
			case 4:
				for j := range row { // exact in int8, many ties
					row[j] = float32(math.Round(float64(row[j])*400)) / 2
				}
			case 5:
				scale = []float32{0x1p-85, 0x1p-115, 0x1p-130}[rng.IntN(3)] // subnormal, or too small to invert
				fallthrough
			case 6:
				if scale == 1 {
					scale = 0x1p40
				}
				for j := range row {
					row[j] *= scale
				}
			}
		}
		want := linear.NewWeight(f, n, k, group)
		twin := oneISA(cpu.Generic, want, rows, opt)
		checkPadding(t, want)
		for _, isa := range []cpu.ISA{cpu.AVX2, cpu.AVX512} {
			got := linear.NewWeight(f, n, k, group)
			e := oneISA(isa, got, rows, opt)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("format %v [%d, %d] group %d, importance %v: %v differs from the twin", f, n, k, group, opt.Importance != nil, isa)
			}
			if e != twin {
				t.Errorf("format %v [%d, %d] group %d: error %v with %v, the twin has %v", f, n, k, group, e, isa, twin)
			}
		}

		short, wide := make([]byte, 2*len(rows)), make([]float32, len(rows)) // the same from bfloat16
		for i, v := range rows {
			h := num.BF16(v)
			short[2*i], short[2*i+1] = byte(h), byte(h>>8)
			wide[i] = num.FromBF16(h)
		}
		for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
			got, want := linear.NewWeight(f, n, k, group), linear.NewWeight(f, n, k, group)
			twin := oneISA(isa, want, wide, opt)
			restore := cpu.SetMax(isa)
			q, e := NewQuantizer(k, opt), Error{}
			for b := range got.Blocks() {
				e.Add(q.BlockBF16(got, b, short[b*32*k:min((b+1)*32, 2*n)*k]))
			}
			restore()
			if !reflect.DeepEqual(got, want) || e != twin {
				t.Errorf("%v: format %v [%d, %d] group %d: bfloat16 differs from float32", isa, f, n, k, group)
			}
		}
	}
	for k := 1; k < 300; k += 1 + k/16*3 {
		n := 1 + rng.IntN(33)
		imp := make([]float32, k)
		for i := range imp {
			imp[i] = float32(math.Exp(2 * rng.NormFloat64()))
		}
		imp[rng.IntN(k)] = 0
		for _, opt := range []Options{{}, {Importance: imp}} {
			check(linear.I8, n, k, 0, opt)
			for _, group := range []int{16, 32, 64, 128} {
				check(linear.I4, n, k, group, opt)
			}
			check(linear.I6, n, k, 32, opt)
			check(linear.I6, n, k, 128, opt)
		}
		check(linear.I8, n, k, 0, Options{Compat: CompatTorchAO})
		check(linear.I4F, n, k, 32, Options{Compat: CompatTorchAO})
	}
	// Longer than one call of assembly takes.
	check(linear.I8, 16, 2*callVectors/2+70, 0, Options{})
	check(linear.I4, 16, 5000, 32, Options{})
	check(linear.I6, 16, 5000, 64, Options{})
	check(linear.I4, 16, 5000, 128, Options{Importance: make([]float32, 5000)})
}

// TestQuantizeError holds the error that Block reports against what the
// packed weights are, and the stored scale (numerics N4.6) against its neighbours.
func TestQuantizeError(t *testing.T) {
	const n, k = 18, 172
	rng := rand.New(rand.NewPCG(5, 5))
	rows := ktest.Student(rng, n*k, 4)
	for _, f := range []linear.Format{linear.I8, linear.I6, linear.I4, linear.I4F} {
		w := linear.NewWeight(f, n, k, 32)
		opt := Options{}
		if f == linear.I4F {
			opt.Compat = CompatTorchAO
		}
		got := quantizeAll(w, rows, opt)
		var want Error
		for r := range n {
			noise := func(scale float64) (sum float64) {
				for i, v := range rows[r*k : (r+1)*k] {
					q, step := float64(code(w, r, i)), scale
					if f != linear.I8 {
						g := (r/16*w.GroupCount()+i/w.Group)*16 + r%16
						if f != linear.I4F {
							zero, gscale := f.Split(w.Groups[g])
							q, step = q-float64(zero), step*float64(gscale)
						} else {
							q, step = q-float64(w.Groups[g]), float64(w.GroupScale[g])
						}
					}
					d := float64(v) - q*step
					sum += d * d
				}
				return sum
			}
			scale := 0.0
			if f != linear.I4F {
				scale = float64(w.Scale[r])
			}
			e := noise(scale)
			want.Noise += e
			if (f == linear.I4 || f == linear.I6) && (e > noise(scale*1.001) || e > noise(scale*0.999)) {
				t.Errorf("row %d: the scale is not the best for its codes", r)
			}
			for _, v := range rows[r*k : (r+1)*k] {
				want.Signal += float64(v) * float64(v)
			}
		}
		if math.Abs(got.Noise-want.Noise) > 1e-5*want.Noise || math.Abs(got.Signal-want.Signal) > 1e-5*want.Signal {
			t.Errorf("%v: error %v, want %v", f, got, want)
		}
	}
}

// TestQuantizeNotFinite: Signal tells of weights that cannot be quantized, on every path.
func TestQuantizeNotFinite(t *testing.T) {
	const n, k = 17, 67
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0x1p64} {
		for _, at := range []int{0, 16*k - 1, n*k - 1} {
			rows := ktest.Student(rand.New(rand.NewPCG(8, 8)), n*k, 0)
			rows[at] = bad
			for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
				for _, f := range []linear.Format{linear.I8, linear.I4, linear.I4F} {
					e := oneISA(isa, linear.NewWeight(f, n, k, 32), rows, Options{})
					if finite := e.Signal-e.Signal == 0; finite && f != linear.I4F || finite && bad != 0x1p64 {
						t.Errorf("%v, format %v: signal %v with a weight of %v", isa, f, e.Signal, bad)
					}
				}
			}
		}
	}
	wide := make([]float32, n*k) // each is a number, their range is not
	wide[5], wide[7] = 3e38, -3e38
	for _, f := range []linear.Format{linear.I8, linear.I4, linear.I4F} {
		if e := oneISA(cpu.Generic, linear.NewWeight(f, n, k, 32), wide, Options{}); e.Signal-e.Signal == 0 {
			t.Errorf("format %v: signal %v with a range of 6e38", f, e.Signal)
		}
	}
}

func BenchmarkQuantize(b *testing.B) {
	const n, k = 16, 2048
	rows := ktest.Student(rand.New(rand.NewPCG(1, 1)), n*k, 6)
	for _, f := range []linear.Format{linear.I8, linear.I6, linear.I4} {
		w := linear.NewWeight(f, n, k, 32)
		q := NewQuantizer(k, Options{})
		b.Run(f.String(), func(b *testing.B) {
			b.SetBytes(n * k * 2)
			for b.Loop() {
				q.Block(w, 0, rows)
			}
		})
	}
}
