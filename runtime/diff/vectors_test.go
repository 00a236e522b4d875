package diff

import (
	"math"
	"testing"
)

func TestVectors(t *testing.T) {
	var v Vectors
	v.Add([]float32{1, 0}, []float32{2, 0})
	v.Add([]float32{3, 4}, []float32{4, 3})
	if v.N() != 2 || v.Least() != 0.96 || v.Mean() != 0.98 || v.MaxAbs() != 1 {
		t.Errorf("%d rows, least %v, mean %v, max-abs %v", v.N(), v.Least(), v.Mean(), v.MaxAbs())
	}
	v.Add([]float32{1, 0}, []float32{float32(math.NaN()), 0})
	if !math.IsNaN(v.Least()) || !math.IsNaN(v.Mean()) {
		t.Error("a NaN must show")
	}
}
