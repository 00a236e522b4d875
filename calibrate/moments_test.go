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
	for _, c := range []struct {
		k, tokens, cut int
		means          bool
	}{{37, 53, 17, false}, {1, 1, 1, false}, {300, 1100, 700, false}, {37, 53, 17, true}, {300, 1100, 700, true}} {
		k := c.k
		x, y, e, f := inputs(r, c.tokens, k), inputs(r, c.tokens, k), inputs(r, c.tokens, 4), inputs(r, c.tokens, 4)
		for n := range x {
			if c.means {
				x[n][0], y[n][0], e[n][0] = x[n][0]+1, y[n][0]-0.5, e[n][0]+2
			}
		}
		m := newMoments(k, true, 4, c.means)
		m.add(x[:c.cut], y[:c.cut], e[:c.cut], f[:c.cut], 1)
		m.add(x[c.cut:], y[c.cut:], e[c.cut:], f[c.cut:], 3)
		m.finish(3)
		whole := newMoments(k, true, 4, c.means)
		whole.add(x, y, e, f, 1)
		whole.finish(1)
		for n := range x {
			for i := range k {
				y[n][i] -= x[n][i]
			}
			for i := range f[n] {
				e[n][i] -= f[n][i]
			}
		}
		mean := func(v [][]float32, i int) (m float64) {
			for n := range v {
				m += float64(v[n][i]) / float64(len(v))
			}
			return m
		}
		// product is the mean of products, less that of means.
		product := func(v [][]float32, i int, w [][]float32, j int) (p float64) {
			a, b := asIntegers(v, i), asIntegers(w, j)
			for n := range a {
				p += a[n] * b[n] / float64(len(a))
			}
			exact := 0.0
			for n := range a {
				exact += float64(v[n][i]) * float64(w[n][j]) / float64(len(a))
			}
			if math.Abs(p-exact) > 0.02 {
				t.Errorf("K %d: %v as integers, %v exactly", k, p, exact)
			}
			if c.means {
				p -= mean(v, i) * mean(w, j)
			}
			return p
		}
		for i := range k {
			for j := range k {
				if whole.h[i][j] != m.h[i][j] || whole.d[i][j] != m.d[i][j] || m.h[i][j] != m.h[j][i] {
					t.Fatalf("[%d, %d] depends on how the text is cut, or H is not symmetric", i, j)
				}
				if i%7 > 0 || j > i+5 {
					continue
				}
				if i < 4 {
					want := product(e, i, x, j) * float64(len(x)) / float64(len(x)+8*k)
					if whole.g[i][j] != m.g[i][j] || math.Abs(float64(m.g[i][j])-want) > 1e-6 {
						t.Fatalf("K %d: G[%d, %d]: %v, whole %v, want %v", k, i, j, m.g[i][j], whole.g[i][j], want)
					}
				}
				xx, xe := product(x, i, x, j), product(x, i, y, j)
				if math.Abs(float64(m.h[i][j])-xx) > 1e-6 || math.Abs(float64(m.d[i][j])-xe) > 1e-6 {
					t.Fatalf("K %d: [%d, %d]: %v %v, want %v %v", k, i, j, m.h[i][j], m.d[i][j], xx, xe)
				}
			}
		}
	}
}

// asIntegers is channel i of x as moments see it: integers of 8 bits times a scale, 512 tokens at a time.
func asIntegers(x [][]float32, i int) (v []float64) {
	for t := 0; t < len(x); t += 512 {
		part := x[t:min(t+512, len(x))]
		top := float32(0)
		for _, row := range part {
			top = max(top, float32(math.Abs(float64(row[i]))))
		}
		for _, row := range part {
			q := math.RoundToEven(float64(row[i] * (127 / max(top, 1e-30))))
			v = append(v, q*float64(top/127))
		}
	}
	return v
}

// The factors hold L L^T = A and U^T U = A^-1 to within float32, as gonum's do to within float64.
func TestFactors(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range []int{1, 2, 7, 127, 128, 129, 300, 530} {
		m := newMoments(k, false, 0, false)
		m.add(inputs(r, 2*k, k), nil, nil, nil, 2)
		m.finish(2)
		h := m.damped(0.01, columns{}, 2)
		sym := mat.NewSymDense(k, nil)
		for i, row := range h {
			for j, v := range row {
				sym.SetSym(i, j, float64(v))
			}
		}
		size := mat.Max(sym)
		l := h.view(0, k, 0, k)
		for i := range l {
			l[i] = append([]float32(nil), h[i]...)
		}
		if _, err := cholesky(l, 2); err != nil {
			t.Fatal(err)
		}
		ld := dense(l)
		var llt mat.Dense
		llt.Mul(ld, ld.T())
		if d := maxDiff(&llt, sym); d > 1e-6*size {
			t.Errorf("K %d: L L^T off A by %v of %v", k, d, size)
		}
		ut, err := feedback(h, 2)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range ut {
			for _, v := range row[i+1:] {
				if v != 0 {
					t.Fatalf("K %d: U is not upper", k)
				}
			}
		}
		var chol mat.Cholesky
		if !chol.Factorize(sym) {
			t.Fatal("gonum refuses the matrix")
		}
		var inv mat.SymDense
		if err := chol.InverseTo(&inv); err != nil {
			t.Fatal(err)
		}
		ud := dense(ut)
		var utu mat.Dense
		utu.Mul(ud, ud.T())
		if d := maxDiff(&utu, &inv); d > 1e-4*mat.Max(&inv) {
			t.Errorf("K %d: U^T U off the inverse by %v of %v", k, d, mat.Max(&inv))
		}
		// W + (W D^T + G) A^-1
		w, e := matrix(inputs(r, 3, k+k%2)).view(0, 3, 0, k), newMatrix(k, k)
		for i := range k * k {
			e[i/k][i%k] = float32(r.NormFloat64()) * 0.01
		}
		var want mat.Dense
		g := matrix(inputs(r, 3, k+k%2)).view(0, 3, 0, k)
		want.Mul(dense(w), dense(e).T())
		want.Add(&want, dense(g))
		want.Mul(&want, &inv)
		want.Add(&want, dense(w))
		correct(w, e, g, ut, 2)
		if d := maxDiff(dense(w), &want); d > 1e-4*mat.Norm(&want, 2) {
			t.Errorf("K %d: corrected weights off by %v of %v", k, d, mat.Max(&want))
		}
	}
	if _, err := cholesky(matrix{{1, 2}, {2, 1}}, 1); !errors.Is(err, errNotDefinite) {
		t.Errorf("an indefinite matrix gives %v", err)
	}
	if _, err := cholesky(matrix{{float32(math.NaN())}}, 1); !errors.Is(err, errNotDefinite) {
		t.Errorf("NaN gives %v", err)
	}
}

func dense(m matrix) *mat.Dense {
	d := mat.NewDense(len(m), len(m[0]), nil)
	for i, row := range m {
		for j, v := range row {
			d.Set(i, j, float64(v))
		}
	}
	return d
}

func maxDiff(a, b mat.Matrix) (d float64) {
	n, k := a.Dims()
	for i := range n {
		for j := range k {
			d = math.Max(d, math.Abs(a.At(i, j)-b.At(i, j)))
		}
	}
	return d
}
