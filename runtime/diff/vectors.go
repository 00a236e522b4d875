package diff

import "slices"

// Vectors accumulates, row by row, the distance between two results whose rows are vectors, such as embeddings.
type Vectors struct {
	Tensor
	cosines []float64
}

// Add compares one row; x is the reference.
func (v *Vectors) Add(x, y []float32) {
	var t Tensor
	t.Add(x, y)
	v.cosines = append(v.cosines, t.Cosine())
	v.Tensor.Add(x, y)
}

// N is the number of rows compared.
func (v *Vectors) N() int { return len(v.cosines) }

// Least is the least cosine of a row, NaN if one is NaN.
func (v *Vectors) Least() float64 { return slices.Min(v.cosines) }

// Mean is the mean cosine of the rows.
func (v *Vectors) Mean() float64 {
	var sum float64
	for _, c := range v.cosines {
		sum += c
	}
	return sum / float64(len(v.cosines))
}
