//go:build purego || !amd64

package kernels

func groupError(t, imp []float32, inv, lo, hi, step, err *lanes) {
	groupErrorGeneric(t, imp, inv, lo, hi, step, err)
}
