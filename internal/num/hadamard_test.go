package num

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Rotations keep lengths and products, undo themselves, spread one channel over
// its block, and turn columns as they turn rows.
func TestRotation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ width, repeat, block int }{{64, 1, 64}, {96, 1, 32}, {172, 1, 4}, {8, 3, 8}, {7, 2, 1}, {1, 1, 1}} {
		r := NewRotation(c.width, 5)
		n := c.width * c.repeat
		if r.Block != c.block || len(r.Signs) != c.width {
			t.Fatalf("width %d: block %d, %d signs", c.width, r.Block, len(r.Signs))
		}
		x, y := make([]float32, 2*n), make([]float32, 2*n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		copy(y, x)
		r.Apply(y)
		dot := func(x []float32) (xx, xy float64) {
			for i := range n {
				xx += float64(x[i]) * float64(x[i])
				xy += float64(x[i]) * float64(x[n+i])
			}
			return xx, xy
		}
		xx, xy := dot(x)
		yy, yx := dot(y)
		if math.Abs(xx-yy) > 1e-5*xx || math.Abs(xy-yx) > 1e-5*xx {
			t.Errorf("width %d: products %v, %v become %v, %v", c.width, xx, xy, yy, yx)
		}
		columns := make([]float32, 2*n) // [n][2]
		for i := range n {
			columns[2*i], columns[2*i+1] = x[i], x[n+i]
		}
		for at := 0; at < n; at += r.Block {
			r.Columns(columns[2*at:2*(at+r.Block)], at, 2)
		}
		for i := range n {
			if columns[2*i] != y[i] || columns[2*i+1] != y[n+i] {
				t.Fatalf("width %d: column value %d: %v %v, row %v %v", c.width, i, columns[2*i], columns[2*i+1], y[i], y[n+i])
			}
		}
		r.Undo(y)
		for i := range y {
			if math.Abs(float64(y[i]-x[i])) > 1e-6 {
				t.Fatalf("width %d: value %d: %v, was %v", c.width, i, y[i], x[i])
			}
		}
		one := make([]float32, n)
		one[0] = 1
		r.Apply(one)
		for i, v := range one {
			if want := 1 / math.Sqrt(float64(r.Block)); i < r.Block && math.Abs(math.Abs(float64(v))-want) > 1e-7 || i >= r.Block && v != 0 {
				t.Fatalf("width %d: a unit vector has %v at %d", c.width, v, i)
			}
		}
	}
	same := true
	for i, s := range NewRotation(64, 6).Signs {
		same = same && s == NewRotation(64, 5).Signs[i]
	}
	if same {
		t.Error("two seeds, the same signs")
	}
}
