//go:build purego || !amd64

package linear

// Transpose sets t[k*ld+i] to rows[i][k]; all rows have one length.
func Transpose(t []float32, ld int, rows [][]float32) { transposeRows(t, ld, rows, 0) }
