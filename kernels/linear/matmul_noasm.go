//go:build purego || !amd64

package linear

// MatMul is nil: there is nothing faster than the plain loop.
func MatMul() func(y [][]float32, n0 int, x [][]float32, w []float32) { return nil }
