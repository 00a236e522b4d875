//go:build !purego

package kernels

import "qpt/internal/cpu"

//go:noescape
func groupErrorAVX512(t, imp *float32, k int, inv, lo, hi, step, err *lanes)

func groupError(t, imp []float32, inv, lo, hi, step, err *lanes) {
	if cpu.Active() >= cpu.AVX512 && len(imp) > 0 {
		_ = t[len(imp)*16-1]
		groupErrorAVX512(&t[0], &imp[0], len(imp), inv, lo, hi, step, err)
		return
	}
	groupErrorGeneric(t, imp, inv, lo, hi, step, err)
}
