//go:build !purego

package quant

import (
	"qpt/internal/cpu"
	"qpt/kernels/linear"
)

//go:noescape
func spansAVX512(t *float32, pairs, groups int, lo, hi *lanes)

//go:noescape
func trialsAVX512(t, imp *float32, k int, pair *[2]trial)

//go:noescape
func searchAVX512(a *groupSearch)

//go:noescape
func encodeI4AVX512(e *encoding)

//go:noescape
func encodeI8AVX512(e *encoding)

//go:noescape
func encodeI8AVX2(e *encoding)

//go:noescape
func spansAVX2(t *float32, group, groups int, lo, hi *lanes)

//go:noescape
func tryAVX2(t, imp *float32, k int, p *trial)

//go:noescape
func searchAVX2(a *groupSearch)

//go:noescape
func encodeI4AVX2(e *encoding)

//go:noescape
func encodeI6AVX2(e *encoding)

// The wrappers stay functions of their own: their prologues are where the
// collector can stop a loop over calls of assembly.

//go:noinline
func spans(t []float32, group int, lo, hi []lanes) {
	if cpu.Active() < cpu.AVX2 {
		spansGeneric(t, group, lo, hi)
		return
	}
	_, _ = t[len(lo)*group*16-1], hi[len(lo)-1]
	if cpu.Active() < cpu.AVX512 {
		spansAVX2(&t[0], group, len(lo), &lo[0], &hi[0])
		return
	}
	spansAVX512(&t[0], group/2, len(lo), &lo[0], &hi[0])
}

//go:noinline
func trials(t, imp []float32, pair *[2]trial) {
	if cpu.Active() < cpu.AVX2 {
		trialsGeneric(t, imp, pair)
		return
	}
	_ = t[len(imp)*16-1]
	if cpu.Active() < cpu.AVX512 {
		for i := range pair {
			tryAVX2(&t[0], &imp[0], len(imp), &pair[i])
		}
		return
	}
	trialsAVX512(&t[0], &imp[0], len(imp), pair)
}

//go:noinline
func searchGroups(a *groupSearch) {
	if cpu.Active() < cpu.AVX2 {
		searchGeneric(a)
		return
	}
	n := len(a.lo)
	_, _, _ = a.t[n*a.group*16-1], a.hi[n-1], a.params[n*16-1]
	if a.imp != nil {
		_ = a.imp[n*a.group-1]
	}
	if cpu.Active() < cpu.AVX512 {
		searchAVX2(a)
		return
	}
	searchAVX512(a)
}

//go:noinline
func encodeGroups(e *encoding) {
	if cpu.Active() < cpu.AVX2 {
		encodeGroupsGeneric(e)
		return
	}
	size, encode := 16, encodeI6AVX2
	if e.format == linear.I4 {
		if size, encode = 8, encodeI4AVX2; cpu.Active() >= cpu.AVX512 {
			encode = encodeI4AVX512
		}
	}
	k := len(e.data) / size
	_, _, _ = e.t[k*16-1], e.imp[k-1], e.params[(k+e.group-1)/e.group*16-1]
	encode(e)
}

//go:noinline
func encodeI8(e *encoding) {
	if cpu.Active() < cpu.AVX2 {
		encodeI8Generic(e)
		return
	}
	_ = e.t[len(e.data)-1]
	if cpu.Active() < cpu.AVX512 {
		encodeI8AVX2(e)
		return
	}
	encodeI8AVX512(e)
}
