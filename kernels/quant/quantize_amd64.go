//go:build !purego

package quant

import (
	"qpt/internal/cpu"
)

// active is the level in use.
func active() *level { return &levels[cpu.Active()] }

// levels by cpu.ISA, each the one below but for what it does better.
var levels = func() (l [cpu.AMX + 1]level) {
	v := generic
	l[cpu.Generic] = v

	v.spans = func(t []float32, group int, lo, hi []lanes) {
		_, _ = t[len(lo)*group*16-1], hi[len(lo)-1]
		spansAVX2(&t[0], group, len(lo), &lo[0], &hi[0])
	}
	v.trials = func(t, imp []float32, pair *[2]trial) {
		_ = t[len(imp)*16-1]
		for i := range pair {
			tryAVX2(&t[0], &imp[0], len(imp), &pair[i])
		}
	}
	v.search = func(a *groupSearch) { a.check(); searchAVX2(a) }
	v.encodeI4 = func(e *encoding) { e.check(8); encodeI4AVX2(e) }
	v.encodeI6 = func(e *encoding) { e.check(16); encodeI6AVX2(e) }
	v.encodeI8 = func(e *encoding) { _ = e.t[len(e.data)-1]; encodeI8AVX2(e) }
	l[cpu.AVX2], l[cpu.AVXVNNI] = v, v

	v.spans = func(t []float32, group int, lo, hi []lanes) {
		_, _ = t[len(lo)*group*16-1], hi[len(lo)-1]
		spansAVX512(&t[0], group/2, len(lo), &lo[0], &hi[0])
	}
	v.trials = func(t, imp []float32, pair *[2]trial) {
		_ = t[len(imp)*16-1]
		trialsAVX512(&t[0], &imp[0], len(imp), pair)
	}
	v.search = func(a *groupSearch) { a.check(); searchAVX512(a) }
	v.encodeI4 = func(e *encoding) { e.check(8); encodeI4AVX512(e) }
	v.encodeI8 = func(e *encoding) { _ = e.t[len(e.data)-1]; encodeI8AVX512(e) }
	l[cpu.AVX512], l[cpu.AMX] = v, v
	return l
}()

// check panics, before assembly reads, if a slice is too short.
func (a *groupSearch) check() {
	n := len(a.lo)
	_, _, _ = a.t[n*a.group*16-1], a.hi[n-1], a.params[n*16-1]
	if a.imp != nil {
		_ = a.imp[n*a.group-1]
	}
}

// check does so for groups whose vectors of codes take size bytes.
func (e *encoding) check(size int) {
	k := len(e.data) / size
	_, _, _ = e.t[k*16-1], e.imp[k-1], e.params[(k+e.group-1)/e.group*16-1]
}

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
