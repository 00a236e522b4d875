//go:build purego || !amd64

package linear

// isaKernels is empty: the twins do it all.
var isaKernels []Kernel

// row is reached with way.words only.
func (l *call) row(m, first, ldc int) { panic("linear: no kernels for words") }

// less128 is reached with way.signed only.
func (l *call) less128(rows, first, ldc int) { panic("linear: no kernels for signed rows") }
