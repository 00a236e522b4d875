package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"

	"qpt/internal/cpu"
	"qpt/internal/num"
)

// student returns n variates of Student's t with the given degrees of freedom; 0 means Gaussian.
func student(rng *rand.Rand, n, dof int) []float32 {
	x := make([]float32, n)
	for i := range x {
		v := rng.NormFloat64()
		if dof > 0 {
			var c float64
			for range dof {
				z := rng.NormFloat64()
				c += z * z
			}
			v /= math.Sqrt(c / float64(dof))
		}
		x[i] = float32(v * 0.02)
	}
	return x
}

func testWeight(f Format, n, k, group int) *Weight {
	data, groups, gscale, scale, sum, err := Sizes(f, n, k, group)
	if err != nil {
		panic(err)
	}
	return &Weight{Format: f, N: n, K: k, Group: group, Data: make([]byte, data), Groups: make([]byte, groups),
		GroupScale: make([]float32, gscale), Scale: make([]float32, scale), Sum: make([]int32, sum)}
}

func quantizeAll(w *Weight, rows []float32, opt QuantOptions) (e Error) {
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
		f     Format
		group int
		want  [3]float64 // dB: Gaussian, t6, t4
	}{
		{I8, 0, [3]float64{41.41, 35.11, 30.82}},
		{I6, 16, [3]float64{33.85, 32.02, 29.73}},
		{I6, 32, [3]float64{32.81, 30.69, 28.86}},
		{I6, 64, [3]float64{31.99, 29.6, 27.82}},
		{I4, 16, [3]float64{23.2, 22.16, 21.46}},
		{I4, 32, [3]float64{21.99, 20.67, 19.79}},
		{I4, 64, [3]float64{21.06, 19.39, 18.31}},
		{I4, 128, [3]float64{20.36, 18.28, 16.92}},
	}
	for _, c := range cases {
		for i, dof := range []int{0, 6, 4} {
			rows := student(rand.New(rand.NewPCG(1, uint64(dof))), n*k, dof)
			e := quantizeAll(testWeight(c.f, n, k, c.group), rows, QuantOptions{})
			t.Logf("format %d group %d dof %d: %.2f dB", c.f, c.group, dof, e.SQNR())
			if e.SQNR() < c.want[i] {
				t.Errorf("format %d group %d dof %d: %.2f dB, want %.2f", c.f, c.group, dof, e.SQNR(), c.want[i])
			}
		}
	}
}

// oneISA quantizes with the best instructions up to isa.
func oneISA(isa cpu.ISA, w *Weight, rows []float32, opt QuantOptions) Error {
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
	check := func(f Format, n, k, group int, opt QuantOptions) {
		t.Helper()
		rows := student(rng, n*k, 4)
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
		want := testWeight(f, n, k, group)
		twin := oneISA(cpu.Generic, want, rows, opt)
		checkPadding(t, want)
		for _, isa := range []cpu.ISA{cpu.AVX2, cpu.AVX512} {
			got := testWeight(f, n, k, group)
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
			got, want := testWeight(f, n, k, group), testWeight(f, n, k, group)
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
		for _, opt := range []QuantOptions{{}, {Importance: imp}} {
			check(I8, n, k, 0, opt)
			for _, group := range []int{16, 32, 64, 128} {
				check(I4, n, k, group, opt)
			}
			check(I6, n, k, 32, opt)
			check(I6, n, k, 128, opt)
		}
		check(I8, n, k, 0, QuantOptions{Compat: CompatTorchAO})
		check(I4F, n, k, 32, QuantOptions{Compat: CompatTorchAO})
	}
	// Longer than one call of assembly takes.
	check(I8, 16, 2*callVectors/2+70, 0, QuantOptions{})
	check(I4, 16, 5000, 32, QuantOptions{})
	check(I6, 16, 5000, 64, QuantOptions{})
	check(I4, 16, 5000, 128, QuantOptions{Importance: make([]float32, 5000)})
}

// TestQuantizeError holds the error that Block reports against what the
// packed weights are, and the stored scale (numerics N4.6) against its neighbours.
func TestQuantizeError(t *testing.T) {
	const n, k = 18, 172
	rng := rand.New(rand.NewPCG(5, 5))
	rows := student(rng, n*k, 4)
	for _, f := range []Format{I8, I6, I4, I4F} {
		w := testWeight(f, n, k, 32)
		opt := QuantOptions{}
		if f == I4F {
			opt.Compat = CompatTorchAO
		}
		got := quantizeAll(w, rows, opt)
		var want Error
		for r := range n {
			noise := func(scale float64) (sum float64) {
				for i, v := range rows[r*k : (r+1)*k] {
					q, step := float64(code(w, r, i)), scale
					if f != I8 {
						g := (r/16*w.groups()+i/w.Group)*16 + r%16
						if f != I4F {
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
			if f != I4F {
				scale = float64(w.Scale[r])
			}
			e := noise(scale)
			want.Noise += e
			if (f == I4 || f == I6) && (e > noise(scale*1.001) || e > noise(scale*0.999)) {
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
			rows := student(rand.New(rand.NewPCG(8, 8)), n*k, 0)
			rows[at] = bad
			for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX2, cpu.AVX512} {
				for _, f := range []Format{I8, I4, I4F} {
					e := oneISA(isa, testWeight(f, n, k, 32), rows, QuantOptions{})
					if finite := e.Signal-e.Signal == 0; finite && f != I4F || finite && bad != 0x1p64 {
						t.Errorf("%v, format %v: signal %v with a weight of %v", isa, f, e.Signal, bad)
					}
				}
			}
		}
	}
	wide := make([]float32, n*k) // each is a number, their range is not
	wide[5], wide[7] = 3e38, -3e38
	for _, f := range []Format{I8, I4, I4F} {
		if e := oneISA(cpu.Generic, testWeight(f, n, k, 32), wide, QuantOptions{}); e.Signal-e.Signal == 0 {
			t.Errorf("format %v: signal %v with a range of 6e38", f, e.Signal)
		}
	}
}

// TestFMA32 holds fma32 against exact arithmetic: ties and near ties, subnormal results, cancellation.
func TestFMA32(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	slow := 0
	for i := range 300000 {
		x, y := float32(rng.NormFloat64()), float32(rng.NormFloat64())
		z := float32(rng.NormFloat64() * math.Exp2(float64(rng.IntN(60)-30)))
		switch i % 4 {
		case 1: // few bits: exact ties; one more far below: near ties
			x, y = float32(1+rng.IntN(1<<12)), float32(1+2*rng.IntN(1<<11))*0x1p-25
			z = float32(rng.IntN(1<<24)) / 2
			if rng.IntN(2) == 0 {
				x, y = 1+0x1p-23, (1+0x1p-23)*0x1p-24
				z = 1 + float32(rng.IntN(1<<23))*0x1p-23
			}
		case 2:
			x *= 0x1p-70
			y *= 0x1p-70
			z *= 0x1p-140
		case 3:
			z = -x * y
		}
		s := float64(x)*float64(y) + float64(z)
		if b := math.Float64bits(s); b<<35 == 1<<63 || b<<1 < 897<<53 {
			slow++
		}
		bx := new(big.Float).SetPrec(2000).SetFloat64(float64(x))
		bx.Mul(bx, big.NewFloat(float64(y)).SetPrec(2000))
		want, _ := bx.Add(bx, big.NewFloat(float64(z)).SetPrec(2000)).Float32()
		if got := fma32(x, y, z); got != want {
			t.Fatalf("%v*%v + %v = %v, want %v", x, y, z, got, want)
		}
	}
	if slow < 1000 {
		t.Errorf("only %d cases of the slow path", slow)
	}
}

func BenchmarkQuantize(b *testing.B) {
	const n, k = 16, 2048
	rows := student(rand.New(rand.NewPCG(1, 1)), n*k, 6)
	for _, f := range []Format{I8, I6, I4} {
		w := testWeight(f, n, k, 32)
		q := NewQuantizer(k, QuantOptions{})
		b.Run(f.String(), func(b *testing.B) {
			b.SetBytes(n * k * 2)
			for b.Loop() {
				q.Block(w, 0, rows)
			}
		})
	}
}
