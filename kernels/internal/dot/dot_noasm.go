//go:build purego || !amd64

package dot

// Rows is RowsGeneric: there is nothing better.
func Rows(f Kind, c []float32, ldc int, a []float32, lda int, b []byte, stride, rows, nb, k int) {
	RowsGeneric(f, c, ldc, a, lda, b, stride, rows, nb, k)
}

// HasPairs tells whether there are products of pairs (VDPBF16PS): not in plain Go.
func HasPairs() bool { return false }
