package calibrate

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// inputs is X [tokens][K] of k channels that depend on each other.
func inputs(r *rand.Rand, tokens, k int) [][]float32 {
	mix := make([]float64, k*k/2)
	for i := range mix {
		mix[i] = r.NormFloat64()
	}
	x := make([][]float32, tokens)
	for t := range x {
		z := make([]float64, k/2)
		for i := range z {
			z[i] = r.NormFloat64()
		}
		x[t] = make([]float32, k)
		for i := range k {
			v := 0.3 * r.NormFloat64()
			for j, y := range z {
				v += mix[i*(k/2)+j] * y / math.Sqrt(float64(k))
			}
			x[t][i] = float32(v)
		}
	}
	return x
}

func TestMoments(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const k = 37
	x, y := inputs(r, 53, k), inputs(r, 53, k)
	m := newMoments(k, true)
	m.add(x[:17], y[:17], 1)
	m.add(x[17:], y[17:], 3)
	m.finish()
	for i := range k {
		for j := range k {
			var xx, yx float64
			for n := range x {
				xx += float64(x[n][i]) * float64(x[n][j]) / float64(len(x))
				yx += float64(y[n][i]) * float64(x[n][j]) / float64(len(x))
			}
			if math.Abs(m.xx[i*k+j]-xx) > 1e-6 || math.Abs(m.yx[i*k+j]-yx) > 1e-6 {
				t.Fatalf("[%d, %d]: %v %v, want %v %v", i, j, m.xx[i*k+j], m.yx[i*k+j], xx, yx)
			}
		}
	}
}

func TestFactorsAgainstGonum(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range []int{1, 2, 7, 48, 49, 130} {
		m := newMoments(k, false)
		m.add(inputs(r, 2*k, k), nil, 2)
		m.finish()
		h := m.damped(0.01)
		sym := mat.NewSymDense(k, append([]float64(nil), h...))
		var chol mat.Cholesky
		if !chol.Factorize(sym) {
			t.Fatal("gonum refuses the matrix")
		}
		var want mat.TriDense
		chol.LTo(&want)
		l := append([]float64(nil), h...)
		if err := cholesky(l, k, 2); err != nil {
			t.Fatal(err)
		}
		if d := maxDiff(l, mat.DenseCopyOf(&want).RawMatrix().Data); d > 1e-9 {
			t.Errorf("K %d: Cholesky factor off by %v", k, d)
		}
		var inv mat.SymDense
		if err := chol.InverseTo(&inv); err != nil {
			t.Fatal(err)
		}
		u, err := feedback(h, k, 2)
		if err != nil {
			t.Fatal(err)
		}
		ud := mat.NewDense(k, k, nil)
		for i, v := range u {
			ud.Set(i/k, i%k, float64(v))
			if i/k > i%k && v != 0 {
				t.Fatalf("K %d: U is not upper", k)
			}
		}
		var utu mat.Dense
		utu.Mul(ud.T(), ud)
		size := mat.Max(&inv)
		if d := maxDiff(utu.RawMatrix().Data, mat.DenseCopyOf(&inv).RawMatrix().Data); d > 1e-5*size {
			t.Errorf("K %d: U^T U off the inverse by %v of %v", k, d, size)
		}
		b := make([]float64, 3*k)
		for i := range b {
			b[i] = r.NormFloat64()
		}
		x := append([]float64(nil), b...)
		solve(l, k, x, 2)
		var back mat.Dense
		back.Mul(mat.NewDense(3, k, x), sym)
		if d := maxDiff(back.RawMatrix().Data, b); d > 1e-8 {
			t.Errorf("K %d: solve off by %v", k, d)
		}
	}
	if err := cholesky([]float64{1, 2, 2, 1}, 2, 1); !errors.Is(err, errNotDefinite) {
		t.Errorf("an indefinite matrix gives %v", err)
	}
	if err := cholesky([]float64{math.NaN()}, 1, 1); !errors.Is(err, errNotDefinite) {
		t.Errorf("NaN gives %v", err)
	}
}

func maxDiff(a, b []float64) (d float64) {
	for i := range a {
		d = math.Max(d, math.Abs(a[i]-b[i]))
	}
	return d
}
