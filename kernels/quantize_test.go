package kernels

import (
	"math"
	"math/rand/v2"
	"qpt/internal/cpu"
	"reflect"
	"testing"
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
		{I8, 0, [3]float64{41.3, 35, 30.7}},
		{I4, 16, [3]float64{23.1, 22.1, 21.4}},
		{I4, 32, [3]float64{21.9, 20.6, 19.7}},
		{I4, 64, [3]float64{20.8, 19.2, 18}},
		{I4, 128, [3]float64{19.8, 17.9, 16.5}},
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

// TestQuantizeISA holds numerics N4.4: every level of the machine writes the same bytes.
func TestQuantizeISA(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, c := range []struct {
		f           Format
		n, k, group int
	}{{I8, 17, 172, 0}, {I4, 16, 64, 16}, {I4, 33, 172, 32}, {I4, 5, 352, 128}, {I4F, 16, 172, 32}} {
		rows := student(rng, c.n*c.k, 4)
		clear(rows[:c.k]) // an all-zero channel
		imp := make([]float32, c.k)
		for i := range imp {
			imp[i] = rng.Float32()
		}
		var want *Weight
		for _, isa := range []cpu.ISA{cpu.Generic, cpu.AVX512} {
			if !cpu.Has(isa) && isa != cpu.Generic {
				t.Logf("%v: not on this machine", isa)
				continue
			}
			restore := cpu.SetMax(isa)
			w := testWeight(c.f, c.n, c.k, c.group)
			quantizeAll(w, rows, QuantOptions{Importance: imp})
			restore()
			if want == nil {
				want = w
			} else if !reflect.DeepEqual(w, want) {
				t.Errorf("format %d n %d k %d: %v differs from generic", c.f, c.n, c.k, isa)
			}
		}
	}
}
