package kernels

import (
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
)

// dotN65 is numerics N6.5.
func dotN65(x, w []float32) float32 {
	var s [4]float32
	whole := len(x) &^ 7
	for k := range x {
		i := k % 4
		if k >= whole {
			i = 0
		}
		s[i] += float32(x[k] * w[k])
	}
	return (s[0] + s[2]) + (s[1] + s[3])
}

func TestMatMul(t *testing.T) {
	f := MatMul()
	if f == nil {
		if cpu.Active() >= cpu.AVX512 {
			t.Error("no function on a machine with AVX-512")
		}
		t.Skip("no AVX-512")
	}
	rng := rand.New(rand.NewPCG(2, 3))
	for _, v := range []shape{{1, 1, 1}, {2, 15, 7}, {3, 16, 8}, {4, 17, 9}, {5, 40, 15}, {9, 33, 100}, {7, 16, 172}, {64, 50, 513}, {9, 70, 40000}, {300, 130, 520}} {
		const n0 = 3
		w := mixed(rng, v.n*v.k, false)
		x, y := make([][]float32, v.m), make([][]float32, v.m)
		for m := range v.m {
			x[m] = mixed(rng, v.k, m == 2)
			y[m] = make([]float32, n0+v.n+1)
			for i := range y[m] {
				y[m][i] = 7
			}
		}
		f(y, n0, x, w)
		for m := range v.m {
			if y[m][n0-1] != 7 || y[m][n0+v.n] != 7 {
				t.Fatalf("%v: row %d: written outside", v, m)
			}
			for n := range v.n {
				got, want := y[m][n0+n], dotN65(x[m], w[n*v.k:(n+1)*v.k])
				if !same(got, want) {
					t.Fatalf("%v: y[%d][%d] = %v, want %v", v, m, n, got, want)
				}
			}
		}
	}
}

func BenchmarkMatMul(b *testing.B) {
	f := MatMul()
	if f == nil {
		b.Skip("no AVX-512")
	}
	const m, n, k = 64, 64, 2048
	rng := rand.New(rand.NewPCG(2, 3))
	w := mixed(rng, n*k, false)
	x, y := make([][]float32, m), make([][]float32, m)
	for i := range m {
		x[i], y[i] = mixed(rng, k, false), make([]float32, n)
	}
	for b.Loop() {
		f(y, 0, x, w)
	}
	b.ReportMetric(2*m*n*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
}
